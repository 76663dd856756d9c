import { LONGEST_PICTURE_TEXT, withPictureText } from '@darkroom/engine'
import type { RequestRecord } from '../endpoints/endpoint.ts'
import { dumpsJson } from '../protocol/json-text.ts'

/** A text that is no longer than this says what the request was; a longer one is a file inside the input. */
const LONGEST_TEXT = 8192

/**
 * The picture's file with the request that drew it: its endpoint, and its input with every default and the seed that was used.
 * Files inside the input (data URIs, bytes) are left out and named under `omitted`.
 */
export function withRecord(
  file: Uint8Array,
  format: 'png' | 'jpeg',
  record: RequestRecord | undefined,
  seed: bigint | undefined,
): Uint8Array {
  if (record === undefined) return file
  const text = recordText(record, seed)
  return text.length > LONGEST_PICTURE_TEXT ? file : withPictureText(file, format, text)
}

function recordText({ endpointId, precision, input }: RequestRecord, seed: bigint | undefined): string {
  const omitted: string[] = []
  const kept = withoutFiles({ ...(input as Record<string, unknown>), ...(seed !== undefined && { seed }) }, '', omitted)
  return dumpsJson({
    endpoint_id: endpointId,
    ...(precision !== undefined && { precision }),
    input: kept,
    ...(omitted.length > 0 && { omitted }),
  })
}

/** The value without files and without nulls, which mean that a field was not given. */
function withoutFiles(value: unknown, path: string, omitted: string[]): unknown {
  if (value instanceof Uint8Array || (typeof value === 'string' && value.length > LONGEST_TEXT)) {
    omitted.push(path)
    return undefined
  }
  if (Array.isArray(value)) return value.map((item, index) => withoutFiles(item, `${path}.${index}`, omitted))
  if (typeof value !== 'object' || value === null) return value ?? undefined
  const entries = Object.entries(value).map(([name, item]) => [
    name,
    withoutFiles(item, path === '' ? name : `${path}.${name}`, omitted),
  ])
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined))
}
