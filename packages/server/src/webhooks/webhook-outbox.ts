import { type ExpressionBuilder, type RawBuilder, type Selectable, sql } from 'kysely'
import { bigint, clockOf, type SqlClock } from '../db/clock.ts'
import type { Database } from '../db/database.ts'
import { inState } from '../db/in-state.ts'
import type { Schema, WebhookDeliveriesTable } from '../db/tables.ts'
import { accountsWaiting, HOSTS_LOOKED_AT, headsOfLines } from './webhook-lines.ts'

/** A delivery that this process has the right to attempt until its lease is over. */
export interface LeasedDelivery {
  readonly id: number
  /** Number of this attempt, from 1. A result recorded with an older number changes nothing. */
  readonly attempt: number
  readonly requestId: string
  readonly url: string
  /** The body to send, byte for byte. */
  readonly payload: string
  /** Key id of whoever submitted the request; absent in no-key mode, or when the request is already erased. */
  readonly keyId?: string
  /** Whose it is, and where it goes. */
  readonly account: string
  readonly host: string
}

/** Accounts and hosts that have their share of what is being delivered. */
export interface BusyReceivers {
  readonly accounts: readonly string[]
  readonly hosts: readonly string[]
}

/** What an attempt met with. */
export interface AttemptResult {
  readonly status?: number
  readonly error?: string
}

export type DeliveryRecord = Selectable<WebhookDeliveriesTable>

/** Looks at an account's hosts in one lease: some of many, or again where others took what was due. */
const MOST_TRIES = 8

export interface LeaseSeconds {
  readonly firstAttempt: number
  readonly laterAttempts: number
}

/** In place of a body that is not sent any more: its output is kept once, with the request, where it can be erased and is counted. */
const OVER = ''

/**
 * The webhooks that are still to be delivered. A row is written in the transaction that completes its request
 * (`pending`) and ends as `delivered` or `failed`; until then it belongs to whoever leased it last, for as long as the
 * lease says. A process that dies while sending leaves the row to the next one, so a receiver may see a message twice;
 * it tells by the request id.
 */
export class WebhookOutbox {
  readonly #database: Database
  readonly #now: SqlClock
  /** By account, in which turn it was served last. */
  readonly #served = new Map<string, number>()
  #turn = 0
  /** By account that has more hosts than are looked at, the last of them. */
  readonly #lastHosts = new Map<string, string>()

  /** @param now replaces the clock in tests */
  constructor(database: Database, now?: () => Date) {
    this.#database = database
    this.#now = clockOf(database, now)
  }

  /**
   * Takes a delivery that is due, but for those of busy receivers: of the account that was served longest ago, what is due longest. The
   * attempt counts from here. What is read are the heads of lines, however many stand in them.
   */
  async lease(seconds: LeaseSeconds, busy: BusyReceivers): Promise<LeasedDelivery | undefined> {
    const accounts = await this.#database.read(accountsWaiting)
    const free = accounts.filter((account) => !busy.accounts.includes(account))
    // Who was served never comes first, then who was served longest ago; their order in the database is that of their names.
    const turnOf = (account: string) => this.#served.get(account) ?? 0
    for (const account of free.toSorted((a, b) => turnOf(a) - turnOf(b))) {
      const leased = await this.#leaseOf(account, seconds, busy.hosts)
      if (leased === undefined) continue
      this.#served.set(account, ++this.#turn)
      return leased
    }
    return undefined
  }

  async #leaseOf(
    account: string,
    seconds: LeaseSeconds,
    busyHosts: readonly string[],
  ): Promise<LeasedDelivery | undefined> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const after = this.#lastHosts.get(account)
      const heads = await this.#database.read((query) => headsOfLines(query, this.#now(), account, after))
      const last = heads.length < HOSTS_LOOKED_AT ? undefined : heads.at(-1)?.host
      if (last === undefined) this.#lastHosts.delete(account)
      else this.#lastHosts.set(account, last)
      const due = heads.filter(({ host, is_due }) => is_due === 1 && !busyHosts.includes(host))
      for (const { id } of due.toSorted((a, b) => a.next_attempt_at - b.next_attempt_at || a.id - b.id)) {
        const leased = await this.#take(id, seconds)
        if (leased !== undefined) return leased
      }
      const hasSeenAll = after === undefined && last === undefined
      if (due.length === 0 && hasSeenAll) return undefined
    }
    return undefined
  }

  /** @returns undefined where another process has taken it since */
  async #take(id: number, seconds: LeaseSeconds): Promise<LeasedDelivery | undefined> {
    const now = this.#now()
    const until = sql<number>`${now} + case attempts when 0 then ${milliseconds(seconds.firstAttempt)} else ${milliseconds(seconds.laterAttempts)} end`
    const row = await this.#database.execute('relaxed', (query) =>
      query
        .updateTable('webhook_deliveries')
        .set((eb) => ({ attempts: eb('attempts', '+', 1), lease_until: until, next_attempt_at: until }))
        .where('id', '=', id)
        .where(inState('pending'))
        .where('next_attempt_at', '<=', now)
        .returning(['id', 'attempts', 'request_id', 'url', 'payload', 'account', 'host'])
        .returning(keyOfRequest)
        .executeTakeFirst(),
    )
    if (row === undefined) return undefined
    const { id: _, attempts, request_id, key_id, ...delivery } = row
    return { id, attempt: attempts, requestId: request_id, ...delivery, ...(key_id !== null && { keyId: key_id }) }
  }

  /**
   * Makes what others were sending due at once, instead of when their leases are over. For a process that knows that
   * nobody else delivers: those who held them are dead.
   */
  async takeOver(): Promise<void> {
    const now = this.#now()
    await this.#database.execute('relaxed', (query) =>
      query
        .updateTable('webhook_deliveries')
        .set({ lease_until: null, next_attempt_at: now })
        .where('state', '=', sql.lit('pending'))
        .where('lease_until', 'is not', null)
        .execute(),
    )
  }

  /** @returns false when another process has leased it since: nothing was changed */
  async delivered(delivery: LeasedDelivery, result: AttemptResult): Promise<boolean> {
    return this.#end(delivery, result, { state: 'delivered', delivered_at: this.#now(), payload: OVER })
  }

  /** No further attempt is made. @returns false when another process has leased it since */
  async failed(delivery: LeasedDelivery, result: AttemptResult): Promise<boolean> {
    return this.#end(delivery, result, { state: 'failed', payload: OVER })
  }

  /** The next attempt is made after so many seconds. @returns false when another process has leased it since */
  async retry(delivery: LeasedDelivery, result: AttemptResult, afterSeconds: number): Promise<boolean> {
    return this.#end(delivery, result, {
      next_attempt_at: sql<number>`${this.#now()} + ${milliseconds(afterSeconds)}`,
    })
  }

  /** The delivery log of a request. */
  async deliveriesOf(requestId: string): Promise<readonly DeliveryRecord[]> {
    return this.#database.read((query) =>
      query.selectFrom('webhook_deliveries').selectAll().where('request_id', '=', requestId).orderBy('id').execute(),
    )
  }

  async #end(
    delivery: LeasedDelivery,
    result: AttemptResult,
    change: {
      readonly state?: 'delivered' | 'failed'
      readonly payload?: typeof OVER
      readonly delivered_at?: RawBuilder<number>
      readonly next_attempt_at?: RawBuilder<number>
    },
  ): Promise<boolean> {
    const { numUpdatedRows } = await this.#database.execute('synced', (query) =>
      query
        .updateTable('webhook_deliveries')
        .set({ ...change, lease_until: null, last_status: result.status ?? null, last_error: result.error ?? null })
        .where('id', '=', delivery.id)
        .where('attempts', '=', delivery.attempt)
        .where(inState('pending'))
        .executeTakeFirstOrThrow(),
    )
    return numUpdatedRows > 0n
  }
}

/** The key of the delivery's request, while there is one. */
function keyOfRequest(eb: ExpressionBuilder<Schema, 'webhook_deliveries'>) {
  return eb
    .selectFrom('requests')
    .select('requests.key_id as key_id')
    .whereRef('requests.request_id', '=', 'webhook_deliveries.request_id')
    .$asScalar()
    .as('key_id')
}

function milliseconds(seconds: number): RawBuilder<number> {
  return bigint(seconds * 1000)
}
