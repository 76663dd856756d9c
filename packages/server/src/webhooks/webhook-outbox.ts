import { type ExpressionBuilder, type RawBuilder, type Selectable, sql } from 'kysely'
import { bigint, clockOf, type SqlClock } from '../db/clock.ts'
import type { Database } from '../db/database.ts'
import { inState } from '../db/in-state.ts'
import type { Schema, WebhookDeliveriesTable } from '../db/tables.ts'

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
  /** Whose it is, and where it goes; empty when the request is already erased. */
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

  /** @param now replaces the clock in tests */
  constructor(database: Database, now?: () => Date) {
    this.#database = database
    this.#now = clockOf(database, now)
  }

  /** Takes the delivery that is due longest, but for those of busy receivers. The attempt counts from here. */
  async lease(seconds: LeaseSeconds, busy: BusyReceivers): Promise<LeasedDelivery | undefined> {
    const now = this.#now()
    const row = await this.#database.execute('relaxed', (query) =>
      query
        // A common table expression, because PostgreSQL may run a plain subquery more than once and lock more rows.
        .with('due', (cte) => {
          const due = cte
            .selectFrom('webhook_deliveries')
            .leftJoin('requests', 'requests.request_id', 'webhook_deliveries.request_id')
            .select('id')
            .where('webhook_deliveries.state', '=', sql.lit('pending'))
            .where('next_attempt_at', '<=', now)
            .where((eb) =>
              eb.or([
                eb('webhook_deliveries.lease_until', 'is', null),
                eb('webhook_deliveries.lease_until', '<=', now),
              ]),
            )
            .$if(busy.accounts.length > 0, (select) =>
              select.where(sql<string>`coalesce(account, '')`, 'not in', busy.accounts),
            )
            .$if(busy.hosts.length > 0, (select) =>
              select.where(sql<string>`coalesce(webhook_host, '')`, 'not in', busy.hosts),
            )
            .orderBy('next_attempt_at')
            .limit(1)
          return this.#database.capabilities.rowLocks ? due.forUpdate('webhook_deliveries').skipLocked() : due
        })
        .updateTable('webhook_deliveries')
        .set((eb) => ({
          attempts: eb('attempts', '+', 1),
          lease_until: sql`${now} + case attempts when 0 then ${milliseconds(seconds.firstAttempt)} else ${milliseconds(seconds.laterAttempts)} end`,
        }))
        .where('id', 'in', (eb) => eb.selectFrom('due').select('due.id'))
        .returning(['id', 'attempts', 'request_id', 'url', 'payload'])
        .returning(ofRequest('key_id'))
        .returning(ofRequest('account'))
        .returning(ofRequest('webhook_host'))
        .executeTakeFirst(),
    )
    if (row === undefined) return undefined
    return {
      id: row.id,
      attempt: row.attempts,
      requestId: row.request_id,
      url: row.url,
      payload: row.payload,
      account: row.account ?? '',
      host: row.webhook_host ?? '',
      ...(row.key_id !== null && { keyId: row.key_id }),
    }
  }

  /**
   * Makes what others were sending due at once, instead of when their leases are over. For a process that knows that
   * nobody else delivers: those who held them are dead.
   */
  async takeOver(): Promise<void> {
    await this.#database.execute('relaxed', (query) =>
      query
        .updateTable('webhook_deliveries')
        .set({ lease_until: null })
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

/** What the delivery's request says of itself, while there is one. */
function ofRequest<C extends 'key_id' | 'account' | 'webhook_host'>(column: C) {
  return (eb: ExpressionBuilder<Schema, 'webhook_deliveries'>) =>
    eb
      .selectFrom('requests')
      .select(`requests.${column} as ${column}`)
      .whereRef('requests.request_id', '=', 'webhook_deliveries.request_id')
      .$asScalar()
      .as(column)
}

function milliseconds(seconds: number): RawBuilder<number> {
  return bigint(seconds * 1000)
}
