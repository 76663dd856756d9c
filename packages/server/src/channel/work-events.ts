import type { ChannelEvent } from './direct-channel.ts'

export interface WorkEventsHooks {
  /** The runner began to work on the input. */
  started(): void
  /** The reader took a partial output. */
  taken(): void
  /** The reader left before the result. */
  abandoned(): void
  /** No event can come any more, or none is wanted. */
  ended(): void
}

/**
 * The events of one work, in order, for one reader. Ends behind `result`; a reader that leaves early abandons the work.
 * Written by hand because an async generator adds two promise turns to every event of the sync path.
 */
export class WorkEvents implements AsyncIterableIterator<ChannelEvent> {
  readonly #hooks: WorkEventsHooks
  readonly #buffer: ChannelEvent[] = []
  #waiting: { resolve(result: IteratorResult<ChannelEvent>): void; reject(error: unknown): void } | undefined
  #error: unknown
  #done = false

  constructor(hooks: WorkEventsHooks) {
    this.#hooks = hooks
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(event: ChannelEvent): void {
    if (this.#done) return
    if (event.type === 'started') this.#hooks.started()
    if (event.type === 'result') this.#end()
    if (this.#waiting === undefined) {
      this.#buffer.push(event)
      return
    }
    const { resolve } = this.#waiting
    this.#waiting = undefined
    this.#take(event)
    resolve({ done: false, value: event })
  }

  /** Ends the work with an error, behind the events that came before it. */
  fail(error: unknown): void {
    if (this.#done) return
    this.#error = error
    this.#end()
    this.#waiting?.reject(this.#takeError())
    this.#waiting = undefined
  }

  /** As `fail`, and tells the runner to stop. */
  abandon(error: unknown): void {
    if (this.#done) return
    this.#hooks.abandoned()
    this.fail(error)
  }

  next(): Promise<IteratorResult<ChannelEvent>> {
    const event = this.#buffer.shift()
    if (event !== undefined) {
      this.#take(event)
      return Promise.resolve({ done: false, value: event })
    }
    if (this.#error !== undefined) return Promise.reject(this.#takeError())
    if (this.#done) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  return(): Promise<IteratorResult<ChannelEvent>> {
    if (!this.#done) {
      this.#hooks.abandoned()
      this.#end()
    }
    this.#buffer.length = 0
    this.#error = undefined
    return Promise.resolve({ done: true, value: undefined })
  }

  #end(): void {
    this.#done = true
    this.#hooks.ended()
  }

  #take(event: ChannelEvent): void {
    if (event.type === 'partial' && !this.#done) this.#hooks.taken()
  }

  #takeError(): unknown {
    const error = this.#error
    this.#error = undefined
    return error
  }
}
