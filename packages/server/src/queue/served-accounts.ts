import { type RawBuilder, sql } from 'kysely'
import type { SqlDialect } from '../db/database.ts'

/** Accounts that are remembered: one that so many others were served after is as good as new. */
const REMEMBERED = 32

/** When a runner last took a request of which account, so that they take turns across its endpoints. */
export class ServedAccounts {
  /** The one served last is the last. */
  readonly #servedAt = new Map<string, number>()

  /** @param at in milliseconds since 1970, by the queue's clock */
  note(account: string, at: number): void {
    this.#servedAt.delete(account)
    this.#servedAt.set(account, at)
    if (this.#servedAt.size > REMEMBERED) this.#servedAt.delete(this.#servedAt.keys().next().value ?? '')
  }

  /** As rows of `account` and `served_at` within a statement, whose text is the same however many there are. */
  asRows(dialect: SqlDialect): RawBuilder<unknown> {
    const json = JSON.stringify(Object.fromEntries(this.#servedAt))
    return dialect === 'postgres'
      ? sql`(select key as account, value::bigint as served_at from json_each_text(${json}::json))`
      : sql`(select key as account, value as served_at from json_each(${json}))`
  }
}
