/** What the clients know of a request that was accepted: its submit was answered 200. */
export interface Accepted {
  readonly requestId: string
  readonly token: string
  /** Execution whose result a client read first, and last. */
  firstResult?: Result
  lastResult?: Result
}

export interface Result {
  readonly status: number
  readonly token?: string
  readonly execution?: string
}

/** Everything that was accepted, and the webhooks that came. */
export class Ledger {
  readonly accepted = new Map<string, Accepted>()
  /** Results that webhooks brought, by request. */
  readonly webhooks = new Map<string, Result[]>()
  /** Submits that brought no answer: the request may have been accepted or not, and its client does not know its id. */
  unanswered = 0

  accept(requestId: string, token: string): Accepted {
    const entry: Accepted = { requestId, token }
    this.accepted.set(requestId, entry)
    return entry
  }

  see(entry: Accepted, result: Result): void {
    entry.firstResult ??= result
    entry.lastResult = result
  }

  deliver(requestId: string, result: Result): void {
    this.webhooks.set(requestId, [...(this.webhooks.get(requestId) ?? []), result])
  }

  /** Accepted requests that are not done yet: no result was read, or no webhook came. */
  get open(): Accepted[] {
    return [...this.accepted.values()].filter(
      ({ requestId, firstResult }) => firstResult === undefined || !this.webhooks.has(requestId),
    )
  }
}
