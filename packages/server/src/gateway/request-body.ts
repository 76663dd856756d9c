import { WireError } from '../errors/errors.ts'

/**
 * All bytes of a request's body.
 * @throws WireError 413 as soon as the declared or the received length exceeds `limit`
 */
export async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? Number.NaN)
  if (declared > limit) throw tooLarge(limit)
  // Node's HTTP parser never hands over more than the declared length. `body` is not touched: it would make a web stream.
  if (Number.isFinite(declared)) return new Uint8Array(await request.arrayBuffer())
  if (request.body === null) return new Uint8Array(0)
  return readChunks(request.body, limit)
}

async function readChunks(body: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.byteLength
    if (length > limit) throw tooLarge(limit)
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
