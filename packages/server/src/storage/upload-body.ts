import { requestError, WireError } from '../errors/errors.ts'

export interface BodyLimits {
  readonly maxBytes: number
  /** Refuses a body of 0 bytes. */
  readonly nonEmpty?: boolean
  /** Value of the `Content-Length` header: a connection that breaks off must not leave a shorter file. */
  readonly announcedBytes?: number
}

/**
 * Passes the body on chunk by chunk and raises, in the reader, what is wrong with its length.
 * @throws WireError 413 too large, 400 empty or shorter than announced; the first before a byte is read where possible
 */
export function limitBody(body: ReadableStream<Uint8Array> | null, limits: BodyLimits): ReadableStream<Uint8Array> {
  const { maxBytes, announcedBytes } = limits
  if (announcedBytes !== undefined && announcedBytes > maxBytes) throw tooLarge(maxBytes)
  const reader = body?.getReader()
  let size = 0
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await reader?.read().catch(disconnected)
        if (chunk === undefined || chunk.done) {
          assertWhole(size, limits)
          controller.close()
          return
        }
        size += chunk.value.byteLength
        if (size > maxBytes) {
          await reader?.cancel()
          throw tooLarge(maxBytes)
        }
        controller.enqueue(chunk.value)
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

function disconnected(cause: unknown): never {
  throw requestError('client_disconnected', 'The connection broke before the whole body had come', cause)
}

function assertWhole(size: number, { nonEmpty, announcedBytes }: BodyLimits): void {
  if (nonEmpty === true && size === 0) throw new WireError(400, 'The part is empty: every part needs at least one byte')
  if (announcedBytes !== undefined && size !== announcedBytes) {
    throw new WireError(
      400,
      `The body ended after ${size} of the ${announcedBytes} bytes that Content-Length announced`,
    )
  }
}

function tooLarge(maxBytes: number): WireError {
  return new WireError(413, `The file is larger than the ${maxBytes} bytes that this server takes`)
}
