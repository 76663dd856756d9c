import { requestError } from '../errors/errors.ts'
import type { ConversationOptions, DirectConversation } from './direct-channel.ts'
import type { RunnerConnection, WorkLimits } from './runner-connection.ts'
import type { WorkEvents } from './work-events.ts'

/** A conversation on the socket to one runner. */
export class ClientConversation implements DirectConversation {
  readonly closed: Promise<void>
  readonly #connection: RunnerConnection
  readonly #startTimeoutSeconds: number | undefined
  #startBy: number | undefined
  readonly #number: number
  #open = true
  #resolveClosed: () => void = () => {}

  /** @param startBy when the first input must have started, on `performance.now()`'s clock, if the caller set a limit */
  constructor(connection: RunnerConnection, options: ConversationOptions, startBy: number) {
    this.#connection = connection
    this.#startTimeoutSeconds = options.startTimeoutSeconds
    this.#startBy = startBy
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#number = connection.openConversation(options, () => this.#markClosed())
  }

  send(input: unknown, signal: AbortSignal): WorkEvents {
    if (!this.#open) throw requestError('runner_disconnected', 'The conversation with the runner is closed')
    return this.#connection.send(this.#number, input, { signal, startTimeout: this.#startTimeout() })
  }

  close(): void {
    this.#connection.closeConversation(this.#number)
    this.#markClosed()
  }

  #markClosed(): void {
    this.#open = false
    this.#resolveClosed()
  }

  #startTimeout(): WorkLimits['startTimeout'] {
    const seconds = this.#startTimeoutSeconds
    if (seconds === undefined) return undefined
    // What waiting for a runner used up counts for the first input only.
    const remainingMs = (this.#startBy ?? Number.POSITIVE_INFINITY) - performance.now()
    this.#startBy = undefined
    return { seconds, remainingMs: Math.max(0, Math.min(remainingMs, seconds * 1000)) }
  }
}
