import { type RawBuilder, type Selectable, sql } from 'kysely'
import type { Query } from '../db/database.ts'
import type { WebhookDeliveriesTable } from '../db/tables.ts'

/** Accounts that are looked at: they are made by who runs the server. */
const MOST_ACCOUNTS = 1_000

/** Hosts of one account that are looked at at a time: an account may name as many as it likes. */
export const HOSTS_LOOKED_AT = 64

/** Accounts that something is to be delivered for: a step on an index for each, however many deliveries wait. */
export async function accountsWaiting(query: Query): Promise<string[]> {
  const next = (after: RawBuilder<unknown>) =>
    sql`(select account from webhook_deliveries where state = 'pending' ${after} order by account limit 1)`
  const { rows } = await sql<{ account: string }>`with recursive found (account, number) as (
      select ${next(sql`and account >= ''`)}, 1
      union all
      select ${next(sql`and account > found.account`)}, number + 1 from found
      where found.account is not null and number < ${sql.lit(MOST_ACCOUNTS)}
    ) select account from found where account is not null`.execute(query)
  return rows.map(({ account }) => account)
}

/** The delivery to one host that is attempted next. */
export type HeadOfLine = Pick<Selectable<WebhookDeliveriesTable>, 'id' | 'host' | 'next_attempt_at'> & {
  readonly is_due: number
}

/** The heads of an account's lines, one for each host, of the next hosts in their order: three steps on an index for each. */
export async function headsOfLines(
  query: Query,
  now: RawBuilder<number>,
  account: string,
  after: string | undefined,
): Promise<HeadOfLine[]> {
  const line = sql`from webhook_deliveries where state = 'pending' and account = ${account}`
  const first = after === undefined ? sql`` : sql`and host > ${after}`
  const { rows } = await sql<HeadOfLine>`with recursive found (host, number) as (
      select (select host ${line} ${first} order by host limit 1), 1
      union all
      select (select host ${line} and host > found.host order by host limit 1), number + 1 from found
      where found.host is not null and number < ${sql.lit(HOSTS_LOOKED_AT)}
    ), heads (id, host, next_attempt_at) as (
      select (select id ${line} and host = found.host order by next_attempt_at limit 1), host,
        (select next_attempt_at ${line} and host = found.host order by next_attempt_at limit 1)
      from found where host is not null
    )
    select id, host, next_attempt_at, case when next_attempt_at <= ${now} then 1 else 0 end as is_due
    from heads where id is not null order by host`.execute(query)
  return rows
}
