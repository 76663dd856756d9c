import { readFile } from 'node:fs/promises'
import { CheckpointError } from './checkpoint-error.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * A JSON object from a file; undefined when there is no such file.
 * @throws CheckpointError when the file is empty or holds anything else
 */
export async function readJsonObject(path: string): Promise<JsonObject | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw new CheckpointError(`cannot read ${path}`, { cause })
  }
  if (text.trim() === '') throw new CheckpointError(`${path} is empty; download it again`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new CheckpointError(`${path} is not JSON (${(cause as Error).message}); the file is damaged`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CheckpointError(`${path} must hold a JSON object`)
  }
  return value as JsonObject
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code === 'ENOENT' || code === 'ENOTDIR'
}
