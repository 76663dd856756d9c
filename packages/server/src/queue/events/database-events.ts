import { z } from 'zod'
import type { Notifications } from '../../db/database.ts'
import type { Unsubscribe } from '../request-queue.ts'
import { LocalEvents } from './local-events.ts'
import type { QueueEvent, QueueEvents } from './queue-events.ts'

const CHANNEL = 'darkroom_queue'

/** PostgreSQL refuses payloads of 8,000 bytes and more. */
const MAX_PAYLOAD_CHARACTERS = 2000

const message = z.object({
  origin: z.string(),
  events: z.array(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('work'), endpointId: z.string() }),
      z.object({ type: z.literal('request'), requestId: z.string() }),
      z.object({ type: z.literal('webhook') }),
    ]),
  ),
})

/**
 * Events between all processes that share a database that can notify.
 *
 * Sent after the commit and not with it: PostgreSQL lets transactions that notify commit one at a time, fsync
 * included, which would cap accepted requests at one per fsync. What a crash swallows in between, the safety poll
 * finds. Events of one turn of the event loop, and those that come while a message is on its way, share the next.
 */
export class DatabaseEvents implements QueueEvents {
  readonly #local = new LocalEvents()
  readonly #notifications: Notifications
  readonly #origin = crypto.randomUUID()
  readonly #stop: Promise<(() => void) | undefined>
  #pending: QueueEvent[] = []
  #sending: Promise<void> | undefined

  constructor(notifications: Notifications) {
    this.#notifications = notifications
    this.#stop = notifications.listen(CHANNEL, (payload) => this.#receive(payload)).catch(() => undefined)
  }

  /** Resolves once events of other processes arrive here. */
  async ready(): Promise<void> {
    await this.#stop
  }

  publish(event: QueueEvent): void {
    this.#local.publish(event)
    this.#pending.push(event)
    this.#sending ??= this.#send()
  }

  subscribe(listener: (event: QueueEvent) => void): Unsubscribe {
    return this.#local.subscribe(listener)
  }

  async close(): Promise<void> {
    await this.#sending
    const stop = await this.#stop
    stop?.()
    await this.#local.close()
  }

  async #send(): Promise<void> {
    await Promise.resolve()
    while (this.#pending.length > 0) {
      const events = this.#pending
      this.#pending = []
      // A failure to notify is no failure of the request: listeners poll, and reads report the lost database.
      await this.#notifications.notify(CHANNEL, this.#messages(events)).catch(() => undefined)
    }
    this.#sending = undefined
  }

  /** Equal events once, packed into as few messages as their size allows. */
  #messages(events: readonly QueueEvent[]): string[] {
    const messages: string[] = []
    let parts: string[] = []
    let length = 0
    for (const part of new Set(events.map((event) => JSON.stringify(event)))) {
      if (length + part.length > MAX_PAYLOAD_CHARACTERS && parts.length > 0) {
        messages.push(this.#message(parts))
        parts = []
        length = 0
      }
      parts.push(part)
      length += part.length
    }
    return [...messages, this.#message(parts)]
  }

  #message(parts: readonly string[]): string {
    return `{"origin":"${this.#origin}","events":[${parts.join(',')}]}`
  }

  #receive(payload: string): void {
    const received = readMessage(payload)
    if (received === undefined || received.origin === this.#origin) return
    for (const event of received.events) this.#local.publish(event)
  }
}

/** Whoever may log in to the database may notify what he likes on the channel: what is not ours tells nothing. */
function readMessage(payload: string): z.infer<typeof message> | undefined {
  try {
    return message.parse(JSON.parse(payload))
  } catch {
    return undefined
  }
}
