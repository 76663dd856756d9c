import { WireError } from '../errors/errors.ts'
import { parseJson, toPlainValue } from '../protocol/json-parse.ts'
import type { BodyLease } from './body-lease.ts'

/**
 * Nothing here unpacks a body: one that is packed would be stored as it is, or unpack to any size.
 * @throws WireError 415
 */
export function refuseEncodedBody(headers: Headers): void {
  const encoding = headers.get('content-encoding')
  if (encoding === null || /^(identity)?$/i.test(encoding.trim())) return
  throw new WireError(415, `Content-Encoding ${encoding.slice(0, 50)}: expected a body that is not compressed`)
}

/**
 * All bytes of a request's body.
 * @throws WireError 415 for a compressed body
 * @throws WireError 413 as soon as the declared or the received length exceeds `limit`
 * @throws WireError 429 where there is no room for it
 * @param lease makes the room, where the body may be large
 */
export async function readBody(request: Request, limit: number, lease?: BodyLease): Promise<Uint8Array> {
  refuseEncodedBody(request.headers)
  const declared = Number(request.headers.get('content-length') ?? Number.NaN)
  if (declared > limit) throw tooLarge(limit)
  // Node's HTTP parser never hands over more than the declared length. `body` is not touched: it would make a web stream.
  if (Number.isFinite(declared)) lease?.hold(declared)
  if (Number.isFinite(declared)) return new Uint8Array(await request.arrayBuffer())
  if (request.body === null) return new Uint8Array(0)
  return readChunks(request.body, limit, lease)
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

async function readChunks(
  body: ReadableStream<Uint8Array>,
  limit: number,
  lease: BodyLease | undefined,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.byteLength
    if (length > limit) throw tooLarge(limit)
    lease?.hold(length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function tooLarge(limit: number): WireError {
  return new WireError(
    413,
    `The request body is too large: expected at most ${limit} bytes; upload files to storage and send their URL`,
  )
}
