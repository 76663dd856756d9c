import type { Config } from '../config/config.ts'

/** Where state is kept, for a person to read; without passwords. */
export function storeNames({ databaseUrl, s3, dataFolder }: Config): string {
  const url = databaseUrl === undefined ? undefined : new URL(databaseUrl)
  const database = url === undefined ? `embedded, in ${dataFolder}` : `${url.host}${url.pathname}`
  const files = s3 === undefined ? `in ${dataFolder}` : `bucket ${s3.bucket}${s3.endpoint ? ` at ${s3.endpoint}` : ''}`
  return `  database  ${database}\n  files     ${files}`
}
