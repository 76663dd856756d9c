/** Writes one event whose data is a JSON text. */
export type SendEvent = (json: string) => void

export interface EventStreamOptions {
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  /** Seconds between comment lines, which keep proxies from closing an idle stream. Clients skip comments. */
  readonly keepAliveSeconds: number
  readonly headers?: Readonly<Record<string, string>>
}

const encoder = new TextEncoder()
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
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      keepAlive = setInterval(() => controller.enqueue(KEEP_ALIVE), options.keepAliveSeconds * 1000)
      produce((json) => controller.enqueue(encoder.encode(`data: ${json}\n\n`)), signal)
        .then(() => controller.close())
        .catch((error: unknown) => controller.error(error))
        .catch(() => undefined)
        .finally(() => clearInterval(keepAlive))
    },
    cancel() {
      clearInterval(keepAlive)
      stopped.abort()
    },
  })
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
