/** Small enough that a reader who takes it within the pace is seen to. */
const CHUNK_BYTES = 64 * 1024

/** Resolves when the next part may be made: others have their turn before it. */
export type NextTurn = () => Promise<void>

/**
 * A JSON text as a body that is made while it is read: the next part is asked for when the one before has left, and made in a turn of its
 * own. An error on the way breaks the connection: the status is sent by then.
 */
export function jsonBody(parts: AsyncIterable<string>, nextTurn: NextTurn): ReadableStream<Uint8Array> {
  const chunks = chunksOf(parts, nextTurn)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await chunks.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
}

const encoder = new TextEncoder()

/** Small parts together, large ones cut. */
async function* chunksOf(parts: AsyncIterable<string>, nextTurn: NextTurn): AsyncGenerator<Uint8Array, undefined> {
  let waiting = ''
  for await (const part of parts) {
    waiting += part
    if (waiting.length < CHUNK_BYTES) continue
    const bytes = encoder.encode(waiting)
    waiting = ''
    for (let from = 0; from < bytes.byteLength; from += CHUNK_BYTES) {
      yield bytes.subarray(from, from + CHUNK_BYTES)
      // A socket that takes all at once never makes this loop wait.
      await nextTurn()
    }
  }
  if (waiting !== '') yield encoder.encode(waiting)
  return undefined
}
