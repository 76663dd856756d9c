import { setTimeout as sleep } from 'node:timers/promises'
import type { ChannelEvent } from '../channel/direct-channel.ts'
import { requestError, WireError } from '../errors/errors.ts'
import type { ResultEvent } from './direct-call.ts'

export type StreamBeginning =
  /** The work failed before it gave any output. */
  | { readonly kind: 'failed'; readonly result: ResultEvent }
  /** `headers` are the result's, if it came already. */
  | { readonly kind: 'streaming'; readonly headers: Readonly<Record<string, string>> }

/** How long a started work may go without output before the response's head goes out, and keep-alives after it. */
const HEAD_DELAY_MILLISECONDS = 5_000

/** The outputs of one work, partial ones and the final one, once it is known whether it begins well. */
export class WorkStream {
  readonly #events: AsyncIterator<ChannelEvent>
  #next: Promise<IteratorResult<ChannelEvent>> | undefined
  #result: ResultEvent | undefined

  constructor(events: AsyncIterable<ChannelEvent>) {
    this.#events = events[Symbol.asyncIterator]()
  }

  /**
   * Waits for the first output or the failure, so that an error that comes first can have its own status.
   * @throws WireError what the channel throws
   */
  async begin(): Promise<StreamBeginning> {
    for (let started = false; ; ) {
      const event = started ? await this.#peekFor(HEAD_DELAY_MILLISECONDS) : await this.#peek()
      if (event === undefined) return { kind: 'streaming', headers: {} }
      if (event.type === 'partial') return { kind: 'streaming', headers: {} }
      if (event.type === 'result') {
        return event.status < 400 ? { kind: 'streaming', headers: event.headers } : { kind: 'failed', result: event }
      }
      if (event.type === 'started') started = true
      this.#next = undefined
    }
  }

  /** How the work ended, once `outputs` has. */
  get result(): ResultEvent | undefined {
    return this.#result
  }

  /** @throws WireError when the work fails on the way */
  async *outputs(): AsyncGenerator<unknown> {
    try {
      for (;;) {
        const event = await this.#peek()
        this.#next = undefined
        if (event.type === 'partial') yield event.output
        if (event.type !== 'result') continue
        this.#result = event
        if (event.status >= 400) throw failure(event)
        yield event.output
        return
      }
    } finally {
      await this.#events.return?.()
    }
  }

  async #peek(): Promise<ChannelEvent> {
    this.#next ??= this.#events.next()
    const { done, value } = await this.#next
    if (done === true)
      throw requestError('runner_incomplete_response', 'The runner ended the conversation without a result')
    return value
  }

  async #peekFor(ms: number): Promise<ChannelEvent | undefined> {
    const timer = new AbortController()
    const late = sleep(ms, undefined, { signal: timer.signal, ref: false }).catch(() => undefined)
    try {
      return await Promise.race([this.#peek(), late])
    } finally {
      timer.abort()
    }
  }
}

/** An error result as the error it stands for. */
function failure({ status, output, headers }: ResultEvent): WireError {
  const detail = typeof output === 'object' && output !== null && 'detail' in output ? output.detail : undefined
  return new WireError(status, typeof detail === 'string' || Array.isArray(detail) ? detail : 'Internal Server Error', {
    headers,
  })
}
