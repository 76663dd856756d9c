/**
 * The direct channel between gateway and runner, for work that is not durable: sync runs, streams and realtime
 * connections. The runner listens (WebSocket, msgpack frames, shared token), the gateway connects, on one machine or
 * many. Queue requests never pass through here.
 */
import type { LogEntry } from '../queue/request-queue.ts'

export interface ConversationOptions {
  readonly requestId: string
  readonly endpointId: string
  readonly keyId?: string
  /** Whose files it may read, and whose are those that it makes. */
  readonly account: string
  /** Origin and prefix under which this client reaches files. */
  readonly filesUrl: string
  readonly objectLifecycle?: string
  readonly runnerHint?: string
  /** Intermediate outputs are wanted. */
  readonly streaming: boolean
  /** Pictures are returned as bytes inside the output (realtime). */
  readonly inlineBytes: boolean
  /** Seconds until processing must have begun; then the call ends with 504 `request_timeout`. */
  readonly startTimeoutSeconds?: number
}

export type ChannelEvent =
  | { readonly type: 'started' }
  /** The device is free for the conversation's next input; this one's result is still to come. */
  | { readonly type: 'finishing' }
  | { readonly type: 'log'; readonly entry: LogEntry }
  | { readonly type: 'partial'; readonly output: unknown }
  | {
      readonly type: 'result'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      /** The handler's output, or an error body. May hold bigint and, with `inlineBytes`, Uint8Array. */
      readonly output: unknown
      readonly inferenceSeconds?: number
    }

/** One conversation with one runner; inputs are begun in order, each when the one before has its result or is finishing. */
export interface DirectConversation {
  /**
   * Sends one input (the request body: a plain object, may hold bigint and Uint8Array) and yields what happens, the last
   * event being `result`. Aborting the signal cancels the work.
   * @throws WireError 503 `runner_disconnected` when the runner goes away
   */
  send(input: unknown, signal: AbortSignal): AsyncIterable<ChannelEvent>
  /** Resolves when the runner went away or the conversation was closed. */
  readonly closed: Promise<void>
  close(): void
}

export interface DirectChannel {
  /**
   * Picks a live runner of the endpoint (warm first, then least busy) and opens a conversation on it.
   * @throws WireError 404 when no endpoint of that id exists, 503 `runner_scheduling_failure` when no runner is up
   */
  open(options: ConversationOptions): Promise<DirectConversation>
  /** From here on, and for those that wait already, `open` fails where no runner is up, instead of waiting for one. */
  stopWaiting(): void
  close(): Promise<void>
}

/** The runner's side: one input that a gateway wants answered. The last event emitted must be `result`. */
export interface DirectWork {
  readonly conversation: ConversationOptions
  readonly input: unknown
  /** Aborts when the gateway cancels or goes away. */
  readonly signal: AbortSignal
  emit(event: ChannelEvent): void
}
