import { REQUEST_ID } from '../../protocol/headers.ts'
import { dumpsJson } from '../../protocol/json-text.ts'
import { isTrue } from '../../protocol/request-options.ts'
import { LOGS_AT_ONCE } from '../../queue/request-queue.ts'
import type { GatewayContext, GatewayDependencies } from '../dependencies.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { eventStreamResponse, type SendEvent } from '../server-sent-events.ts'
import { describeRequest } from './request-status.ts'

interface StatusStreamOptions {
  readonly requestId: string
  readonly queueBase: string
  readonly withLogs: boolean
}

/**
 * One event per change of state, position or logs. Logs are incremental (the JS client joins what it gets), and the
 * stream ends only after COMPLETED, because the client takes the last event for the outcome.
 */
export function streamStatus(dependencies: GatewayDependencies, c: GatewayContext, requestId: string): Response {
  const { config, metrics } = dependencies
  const urls = publicUrlsOf(c.req, config.publicUrl)
  const options = { requestId, queueBase: urls.queue, withLogs: isTrue(c.req.query('logs')) }
  return eventStreamResponse(
    {
      signal: c.req.raw.signal,
      keepAliveSeconds: config.limits.keepAliveSeconds,
      headers: { [REQUEST_ID]: requestId },
    },
    async (send, signal) => {
      metrics.openStreams.inc({ kind: 'status' })
      try {
        await sendChanges(dependencies, options, send, signal)
      } finally {
        metrics.openStreams.dec({ kind: 'status' })
      }
    },
  )
}

async function sendChanges(
  { queue, config }: GatewayDependencies,
  { requestId, queueBase, withLogs }: StatusStreamOptions,
  send: SendEvent,
  signal: AbortSignal,
): Promise<void> {
  const changes = new ChangeSignal(signal)
  const unsubscribe = queue.onRequestChange(requestId, () => changes.notify())
  let shownLogs = 0
  let lastStatus = ''
  try {
    while (!signal.aborted) {
      changes.clear()
      const request = await queue.status(requestId)
      if (request === undefined) return
      const logs = withLogs ? await queue.logs(requestId, shownLogs) : undefined
      const { state, body } = await describeRequest(queue, request, queueBase, logs)
      const status = dumpsJson({ ...body, logs: null })
      if (status !== lastStatus || (logs?.length ?? 0) > 0) await send(dumpsJson(body))
      lastStatus = status
      shownLogs += logs?.length ?? 0
      // What there is more of the log comes before the last event, which is taken for the outcome.
      if (logs?.length === LOGS_AT_ONCE) continue
      if (state === 'COMPLETED') return
      // Looks again after a while by itself: a notification between processes can be lost with its connection.
      await changes.wait(config.limits.keepAliveSeconds)
    }
  } finally {
    unsubscribe()
  }
}

/** Remembers that something changed, so that a change during a look at the queue is not missed. */
class ChangeSignal {
  #changed = false
  #wake: (() => void) | undefined

  constructor(abort: AbortSignal) {
    abort.addEventListener('abort', () => this.notify(), { once: true })
  }

  notify(): void {
    this.#changed = true
    this.#wake?.()
  }

  clear(): void {
    this.#changed = false
  }

  async wait(seconds: number): Promise<void> {
    if (this.#changed) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, seconds * 1000)
    })
    clearTimeout(timer)
    this.#wake = undefined
  }
}
