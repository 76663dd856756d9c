import type { QueueEvent } from './events/queue-events.ts'
import type { Unsubscribe } from './request-queue.ts'

/** Who waits for what in this process. */
export class Listeners {
  readonly #work = new Set<() => void>()
  readonly #webhooks = new Set<() => void>()
  readonly #requests = new Map<string, Set<() => void>>()

  get empty(): boolean {
    return this.#work.size === 0 && this.#requests.size === 0
  }

  onWork(listener: () => void): Unsubscribe {
    return add(this.#work, listener)
  }

  onWebhook(listener: () => void): Unsubscribe {
    return add(this.#webhooks, listener)
  }

  onRequest(requestId: string, listener: () => void): Unsubscribe {
    const listeners = this.#requests.get(requestId) ?? new Set()
    this.#requests.set(requestId, listeners)
    const remove = add(listeners, listener)
    return () => {
      remove()
      if (listeners.size === 0) this.#requests.delete(requestId)
    }
  }

  deliver(event: QueueEvent): void {
    if (event.type === 'work') this.callWork()
    else if (event.type === 'webhook') callAll(this.#webhooks)
    else callAll(this.#requests.get(event.requestId) ?? [])
  }

  callWork(): void {
    callAll(this.#work)
  }

  callEveryone(): void {
    this.callWork()
    for (const listeners of [...this.#requests.values()]) callAll(listeners)
  }

  clear(): void {
    this.#work.clear()
    this.#webhooks.clear()
    this.#requests.clear()
  }
}

/** Wrapped, so that one function added twice is called twice and removed once. */
function add(listeners: Set<() => void>, listener: () => void): Unsubscribe {
  const own = () => listener()
  listeners.add(own)
  return () => void listeners.delete(own)
}

function callAll(listeners: Iterable<() => void>): void {
  for (const listener of [...listeners]) listener()
}
