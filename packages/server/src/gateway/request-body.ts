import { WireError } from '../errors/errors.ts'
import { parseJson, toPlainValue } from '../protocol/json-parse.ts'
import type { BodyLease } from './body-lease.ts'
import type { GatewayEnv } from './dependencies.ts'

/**
 * Nothing here unpacks a body: one that is packed would be stored as it is, or unpack to any size.
 * @throws WireError 415
 */
export function refuseEncodedBody(headers: Headers): void {
  const encoding = headers.get('content-encoding')
  if (encoding === null || /^(identity)?$/i.test(encoding.trim())) return
  throw new WireError(415, `Content-Encoding ${encoding.slice(0, 50)}: expected a body that is not compressed`)
}

/** Bodies of this size are put together in microseconds. */
const SMALL_BYTES = 64 * 1024

/** For bodies that may be large. */
export interface LargeBody {
  /** Makes the room. */
  readonly lease: BodyLease | undefined
  /** Where the bytes are, beside the request. */
  readonly env: GatewayEnv['Bindings'] | undefined
}

/**
 * All bytes of a request's body, put together while they come: eight bodies of 8 MB that end together took 0.1 s otherwise, in one piece.
 * @throws WireError 415 for a compressed body
 * @throws WireError 413 as soon as the declared or the received length exceeds `limit`
 * @throws WireError 429 where there is no room for it
 */
export async function readBody(request: Request, limit: number, large?: LargeBody): Promise<Uint8Array> {
  refuseEncodedBody(request.headers)
  const lease = large?.lease
  const { body, incoming } = large?.env ?? {}
  if (body !== undefined) {
    if (body.byteLength > limit) throw tooLarge(limit)
    lease?.hold(body.byteLength)
    return body
  }
  const declared = Number(request.headers.get('content-length') ?? Number.NaN)
  if (declared > limit) throw tooLarge(limit)
  if (Number.isFinite(declared)) lease?.hold(declared)
  // `body` is not touched where it can be helped: it would make a web stream.
  if (declared <= SMALL_BYTES) return new Uint8Array(await request.arrayBuffer())
  const chunks = incoming ?? request.body
  return chunks === null ? new Uint8Array(0) : joined(chunks, { declared, limit, lease })
}

/**
 * The JSON of a small request body, as plain values.
 * @returns undefined for what is no JSON: each caller says what it expected
 * @throws WireError 413, 415
 */
export async function readJsonValue(request: Request, limit: number): Promise<unknown> {
  const bytes = await readBody(request, limit)
  try {
    return toPlainValue(parseJson(new TextDecoder().decode(bytes)))
  } catch {
    return undefined
  }
}

interface Extent {
  /** NaN where the client does not say. Node's HTTP parser never hands over more. */
  readonly declared: number
  readonly limit: number
  readonly lease: BodyLease | undefined
}

/** @returns the only view of its memory, so that another thread may be given it */
async function joined(
  chunks: AsyncIterable<Uint8Array>,
  { declared, limit, lease }: Extent,
): Promise<Uint8Array<ArrayBuffer>> {
  // Memory that nothing was written to yet costs nothing.
  let bytes = new Uint8Array(Number.isNaN(declared) ? SMALL_BYTES : declared)
  let length = 0
  for await (const chunk of chunks) {
    const end = length + chunk.byteLength
    if (end > limit) throw tooLarge(limit)
    lease?.hold(end)
    if (end > bytes.byteLength) bytes = copied(bytes, Math.min(limit, Math.max(end, 2 * bytes.byteLength)))
    bytes.set(chunk, length)
    length = end
  }
  return length === bytes.byteLength ? bytes : copied(bytes.subarray(0, length), length)
}

function copied(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length)
  copy.set(bytes)
  return copy
}

function tooLarge(limit: number): WireError {
  return new WireError(
    413,
    `The request body is too large: expected at most ${limit} bytes; upload files to storage and send their URL`,
  )
}
