import type { Unsubscribe } from '../request-queue.ts'
import type { QueueEvent, QueueEvents } from './queue-events.ts'

/** The end of an IPC channel: a child process as its parent sees it, or `process` as the child sees it. */
export interface EventPort {
  send?(message: unknown, callback?: (error: Error | null) => void): boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
  off(event: 'message', listener: (message: unknown) => void): unknown
}

/** Told apart from the other messages of the channel by this key. */
interface EventMessage {
  readonly queueEvent: QueueEvent
}

/** Events inside one process and, through `bridge`, between a process and its children. */
export class LocalEvents implements QueueEvents {
  readonly #listeners = new Set<(event: QueueEvent) => void>()
  readonly #bridges = new Map<EventPort, Unsubscribe>()

  publish(event: QueueEvent): void {
    this.#deliver(event)
    for (const port of this.#bridges.keys()) send(port, event)
  }

  subscribe(listener: (event: QueueEvent) => void): Unsubscribe {
    // A wrapper of its own, so that one function subscribed twice is called twice and unsubscribed once.
    const own = (event: QueueEvent) => listener(event)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  /** Exchanges events with the process at the other end, which bridges its own end; call the result when it is gone. */
  bridge(port: EventPort): Unsubscribe {
    const receive = (message: unknown) => {
      if (!isEventMessage(message)) return
      this.#deliver(message.queueEvent)
      for (const other of this.#bridges.keys()) if (other !== port) send(other, message.queueEvent)
    }
    const detach = () => {
      port.off('message', receive)
      this.#bridges.delete(port)
    }
    this.#bridges.get(port)?.()
    port.on('message', receive)
    this.#bridges.set(port, detach)
    return detach
  }

  async close(): Promise<void> {
    for (const detach of [...this.#bridges.values()]) detach()
    this.#listeners.clear()
  }

  #deliver(event: QueueEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}

function send(port: EventPort, event: QueueEvent): void {
  // Sending to a child that has just died reports an error to the callback; its supervisor learns of it elsewhere.
  port.send?.({ queueEvent: event } satisfies EventMessage, () => undefined)
}

function isEventMessage(message: unknown): message is EventMessage {
  return typeof message === 'object' && message !== null && 'queueEvent' in message
}
