/**
 * Writes one event whose data is a JSON text. Resolves when there is room for another: who makes events waits for a reader that is
 * slow, and does not pile them up.
 */
export type SendEvent = (json: string) => Promise<void>

export interface EventStreamOptions {
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  /** Seconds between comment lines, which keep proxies from closing an idle stream. Clients skip comments. */
  readonly keepAliveSeconds: number
  readonly headers?: Readonly<Record<string, string>>
}

const encoder = new TextEncoder()
/** What may wait to be read. */
const MOST_WAITING_BYTES = 64 * 1024
const KEEP_ALIVE = encoder.encode(': ping\n\n')

/**
 * A `text/event-stream` response that lasts as long as `produce` does. Its signal aborts when the client goes away.
 * An error of `produce` breaks the connection: there is no way to say more after the status has been sent.
 */
export function eventStreamResponse(
  options: EventStreamOptions,
  produce: (send: SendEvent, signal: AbortSignal) => Promise<void>,
): Response {
  const stopped = new AbortController()
  const signal = AbortSignal.any([options.signal, stopped.signal])
  let keepAlive: NodeJS.Timeout | undefined
  let proceed = () => {}
  const hasRoom = (controller: ReadableStreamDefaultController) => (controller.desiredSize ?? 0) > 0
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const ping = () => hasRoom(controller) && controller.enqueue(KEEP_ALIVE)
        keepAlive = setInterval(ping, options.keepAliveSeconds * 1000)
        const send = async (json: string) => {
          if (signal.aborted) return
          controller.enqueue(encoder.encode(`data: ${json}\n\n`))
          while (!hasRoom(controller) && !signal.aborted)
            await new Promise<void>((resolve) => {
              proceed = resolve
            })
        }
        produce(send, signal)
          .then(() => controller.close())
          .catch((error: unknown) => controller.error(error))
          .catch(() => undefined)
          .finally(() => clearInterval(keepAlive))
      },
      pull: () => proceed(),
      cancel() {
        clearInterval(keepAlive)
        stopped.abort()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MOST_WAITING_BYTES }),
  )
  signal.addEventListener('abort', () => proceed(), { once: true })
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      // nginx would otherwise collect events before it passes them on.
      'x-accel-buffering': 'no',
      ...options.headers,
    },
  })
}
