import { readFile } from 'node:fs/promises'
import { displayName } from '../formats/display-name.ts'
import { CheckpointError } from './checkpoint-error.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * A JSON object from a file; undefined when there is no such file.
 * @throws CheckpointError when the file is empty or holds anything else
 */
export async function readJsonObject(path: string): Promise<JsonObject | undefined> {
  const problem = (text: string, cause?: unknown) =>
    new CheckpointError(`${displayName(path)} ${text}`, { cause, path })
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw problem('cannot be read', cause)
  }
  if (text.trim() === '') throw problem('is empty; download it again')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw problem(`is not JSON (${(cause as Error).message}); the file is damaged; download it again`, cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw problem('must hold a JSON object')
  }
  return value as JsonObject
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code === 'ENOENT' || code === 'ENOTDIR'
}
