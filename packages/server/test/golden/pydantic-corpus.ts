import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { gunzipSync } from 'node:zlib'
import type { EndpointSchema } from '../../src/endpoints/endpoint.ts'
import { type FieldErrorItem, WireError } from '../../src/errors/errors.ts'
import { type ParsedJson, parseJson, toPlainValue } from '../../src/protocol/json-parse.ts'
import { stringifyJson } from '../../src/protocol/json-text.ts'
import { readJsonBody } from '../../src/validation/json-input.ts'
import { validateInput } from '../../src/validation/validate-input.ts'

/** A body and what pydantic 1.10 behind FastAPI says of it. */
export interface Verdict {
  readonly body: Uint8Array
  readonly contentType: string | undefined
  readonly status: number
  /** The values of a 200, the error items of a 422, the detail of a 400. */
  readonly answer: unknown
}

/** Reads a file written by `scripts/golden/pydantic_v1.py`. */
export function readVerdicts(path: string | URL): readonly Verdict[] {
  const [, ...lines] = gunzipSync(readFileSync(path)).toString('utf8').trimEnd().split('\n')
  return lines.map((line) => {
    const [body, contentType, status, answer] = parseJson(line) as ParsedJson[]
    return {
      body: readBody(body),
      contentType: typeof contentType === 'string' ? contentType : undefined,
      status: Number(status),
      answer: comparable(answer),
    }
  })
}

function readBody(body: ParsedJson | undefined): Uint8Array {
  if (typeof body === 'string') return Buffer.from(body, 'utf8')
  return Buffer.from(String((body as { base64: string }).base64), 'base64')
}

/** What this server says of the body. */
export function judge(endpoint: EndpointSchema, { body, contentType }: Verdict): { status: number; answer: unknown } {
  try {
    const values = validateInput(endpoint.input, readJsonBody(body, contentType))
    return { status: 200, answer: comparable(values) }
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    const { detail, status } = error
    return { status, answer: comparable(typeof detail === 'string' ? detail : detail.map(withoutDocument)) }
  }
}

function withoutDocument(item: FieldErrorItem): FieldErrorItem {
  if (item.ctx === undefined) return item
  const { doc: _, ...ctx } = item.ctx
  return { ...item, ctx }
}

/** One form for both sides: numbers by value (JSON has one kind), texts abridged in an error's echo left out. */
function comparable(value: unknown): unknown {
  if (typeof value === 'bigint') return String(toPlainValue(value))
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return value.length > 10_000 ? '<long>' : value
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, comparable(member)]))
}

/**
 * How the server's answer differs from the verdict, or `undefined`. Where FastAPI itself breaks (500) the body must be
 * refused with 422.
 */
export function difference(endpoint: EndpointSchema, verdict: Verdict): string | undefined {
  const own = judge(endpoint, verdict)
  if (verdict.status === 500 && own.status === 422) return undefined
  if (own.status === verdict.status && isDeepStrictEqual(own.answer, verdict.answer)) return undefined
  const text = Buffer.from(verdict.body.subarray(0, 300)).toString('utf8')
  return [
    `body ${text}`,
    `expected ${verdict.status} ${stringifyJson(verdict.answer).slice(0, 600)}`,
    `found ${own.status} ${stringifyJson(own.answer).slice(0, 600)}`,
  ].join('\n')
}
