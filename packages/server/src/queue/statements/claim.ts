import { type RawBuilder, type Selectable, sql } from 'kysely'
import { bigint } from '../../db/clock.ts'
import type { Query } from '../../db/database.ts'
import { inState } from '../../db/in-state.ts'
import type { RequestsTable } from '../../db/tables.ts'
import type { QueueContext } from '../context.ts'
import type { ClaimedRequest, UpcomingRequest } from '../request-queue.ts'
import { toSubmission } from '../rows.ts'
import type { ServedAccounts } from '../served-accounts.ts'
import { payloads, payloadText } from './payloads.ts'

/**
 * Entries looked at per endpoint. One would do for one claimer; but a request whose hint is warm may stand a little
 * behind, and where several claim at once the first entries may be in the hands of others just now. A claim that comes
 * back empty-handed though requests wait looks further, or its runner would sleep until the next event.
 */
const ENTRIES = [8, 32, 128, 512] as const

export interface ClaimOffer {
  readonly runnerId: string
  readonly endpointIds: readonly string[]
  /** Endpoint ids and hints whose models are loaded here. */
  readonly warm: readonly string[]
  /** Endpoints that are cold here and warm at an idle runner, to whom their fresh requests are left. */
  readonly deferred: ReadonlySet<string>
  /** What this runner gave accounts before: the claim is noted in it. */
  readonly served: ServedAccounts
}

/**
 * Takes the best waiting request: priority, then turn, then age, where a warm model counts as `warmAdvantageSeconds` of age.
 *
 * Each endpoint's queue is an index in claim order, so the cost depends on the number of endpoints and not on how
 * many requests or accounts wait.
 */
export async function claim(context: QueueContext, offer: ClaimOffer): Promise<ClaimedRequest | undefined> {
  if (offer.endpointIds.length === 0) return undefined
  const claimed = await takeAny(context, offer)
  if (claimed !== undefined) context.events.publish({ type: 'request', requestId: claimed.requestId })
  return claimed
}

/**
 * What `claim` would take, read on the same indexes without a lock. Entries that others are taking just now are seen as waiting, so there is
 * no reason to look further than the first.
 */
export async function peek(context: QueueContext, offer: ClaimOffer): Promise<UpcomingRequest | undefined> {
  if (offer.endpointIds.length === 0) return undefined
  const row = await context.database.read((query) =>
    query
      .selectFrom('requests')
      .innerJoin('payloads', 'payloads.request_id', 'requests.request_id')
      .select(['requests.request_id', 'requests.endpoint_id', 'payloads.input'])
      .where('requests.seq', '=', inOrder(context, query, offer, ENTRIES[0]))
      .executeTakeFirst(),
  )
  if (row === undefined) return undefined
  const { request_id: requestId, endpoint_id: endpointId, input } = row
  // One of some length lies in pieces, and its column is empty.
  return { requestId, endpointId, ...(input && { input }) }
}

async function takeAny(context: QueueContext, offer: ClaimOffer): Promise<ClaimedRequest | undefined> {
  const { database } = context
  for (const entries of ENTRIES) {
    const row = await database.execute('relaxed', (query) => take(context, query, offer, entries))
    if (row !== undefined) offer.served.note(row.account, row.started_at ?? row.accepted_at)
    const claimed = row === undefined ? undefined : await toClaimed(context, row)
    if (claimed !== undefined || !database.capabilities.rowLocks) return claimed
    if (!(await database.read((query) => anyWaits(context, query, offer)))) return undefined
  }
  return undefined
}

async function take(
  context: QueueContext,
  query: Query,
  offer: ClaimOffer,
  entries: number,
): Promise<TakenRow | undefined> {
  const now = context.now()
  return query
    .updateTable('requests')
    .set((eb) => ({
      state: 'running',
      attempt: eb('attempt', '+', 1),
      runner_id: offer.runnerId,
      started_at: now,
      lease_until: sql`${now} + ${context.options.leaseSeconds * 1000}`,
      run_deadline: sql`${now} + run_timeout_ms`,
    }))
    .where('seq', '=', best(context, query, offer, entries))
    .returningAll()
    .returning((eb) =>
      eb
        .selectFrom('payloads')
        .select('input')
        .whereRef('payloads.request_id', '=', 'requests.request_id')
        .$asScalar()
        .as('input'),
    )
    .executeTakeFirst()
}

type TakenRow = Selectable<RequestsTable> & { readonly input: string | null }

/** An input of some length lies in pieces, and its column is empty. */
async function toClaimed(context: QueueContext, row: TakenRow): Promise<ClaimedRequest> {
  const stored = row.input === '' ? await payloads(context, row.request_id) : undefined
  // Both are of the database's clock, which the runner's may differ from.
  const startWithinMs = row.start_deadline === null ? undefined : row.start_deadline - (row.started_at ?? 0)
  return {
    ...toSubmission(row),
    input: stored?.input === undefined ? (row.input ?? 'null') : await payloadText(stored.input),
    attempt: row.attempt,
    acceptedAt: new Date(row.accepted_at),
    ...(startWithinMs !== undefined && { startWithinMs }),
  }
}

/** The request to take, locked where databases lock rows. */
function best(context: QueueContext, query: Query, offer: ClaimOffer, entries: number) {
  const chosen = inOrder(context, query, offer, entries)
  return context.database.capabilities.rowLocks ? chosen.forUpdate('requests').skipLocked() : chosen
}

/** The first request of the first entries of each endpoint's queue. */
function inOrder(context: QueueContext, query: Query, offer: ClaimOffer, entries: number) {
  const line = isOneQueue(offer) ? queueInOrder(context, offer, entries) : inLine(context, offer, entries)
  return query
    .selectFrom('requests')
    .innerJoin(line.as('line'), 'line.seq', 'requests.seq')
    .select('requests.seq')
    .where(inState('queued'))
    .orderBy('line.priority')
    .orderBy('line.due')
    .orderBy('line.turn')
    .orderBy('line.seq')
    .limit(1)
}

/** Whether there is nothing to compare: one endpoint, and no hint that could let a request overtake another. */
function isOneQueue({ endpointIds, warm }: ClaimOffer): boolean {
  return endpointIds.length === 1 && warm.every((name) => name === endpointIds[0])
}

/** The first entries of the only queue, as `inLine` has them; spares a third of the claim's time. */
function queueInOrder(context: QueueContext, offer: ClaimOffer, entries: number) {
  const queue = candidates(context, sourcesOf(context, offer), entries)
  return sql<InLine>`(select seq, priority, turn, 0 as due from ${queue} as entry)`
}

/** An entry of an endpoint's queue among those of all. */
type InLine = Pick<Selectable<RequestsTable>, 'seq' | 'priority' | 'turn'> & { readonly due: number }

/**
 * The first entries of the endpoints' queues in one line. Within an endpoint they come in the order of its turns. Turns of two endpoints
 * cannot be compared, so between them it is the older that comes first; and an account that this runner has served counts from then on,
 * or the one that has most in line everywhere would be the oldest everywhere. All of its requests are that much younger, so that among
 * themselves, and where there is one account only, it is their age that counts.
 */
function inLine(context: QueueContext, offer: ClaimOffer, entries: number) {
  const advantage = bigint(context.options.warmAdvantageSeconds * 1000)
  const warm = offer.warm.length === 0 ? sql`null` : sql.join(offer.warm.map((name) => sql`${name}`))
  const oldest = sql`min(accepted_at) over (partition by entry.account)`
  return sql<InLine>`(select seq, priority, turn,
      max(counts_from) over (partition by endpoint_id, priority order by turn, seq)
        - case when endpoint_id in (${warm}) or runner_hint in (${warm}) then ${advantage} else 0 end as due
    from (select entry.*, accepted_at + case when served_at > ${oldest} then served_at - ${oldest} else 0 end as counts_from
      from ${candidates(context, sourcesOf(context, offer), entries)} as entry
      left join ${offer.served.asRows(context.database.capabilities.dialect)} as served on served.account = entry.account) as counted)`
}

function sourcesOf(context: QueueContext, offer: ClaimOffer): ClaimSource[] {
  return offer.endpointIds.map((endpointId) => ({
    endpointId,
    patience: offer.deferred.has(endpointId) ? context.options.warmGraceSeconds * 1000 : 0,
  }))
}

async function anyWaits(context: QueueContext, query: Query, offer: ClaimOffer): Promise<boolean> {
  const sources = sourcesOf(context, offer)
  const { rows } = await sql`select 1 where exists ${candidates(context, sources, 1)}`.execute(query)
  return rows.length > 0
}

/** An endpoint to claim from. */
export interface ClaimSource {
  readonly endpointId: string
  /** Milliseconds that its requests must have waited. */
  readonly patience: number
}

/**
 * Each endpoint's first claimable entries: `perEndpoint` steps on an index, however many wait.
 *
 * PostgreSQL plans a union anew and longer with every branch (0.8 ms for twelve endpoints, against 0.2 ms for the
 * lateral join); SQLite has no lateral joins and plans a branch in microseconds.
 */
function candidates(context: QueueContext, sources: readonly ClaimSource[], perEndpoint: number): RawBuilder<unknown> {
  if (context.database.capabilities.lateralJoins) {
    const endpointIds = sources.map((source) => source.endpointId)
    const patience = sources.map((source) => source.patience)
    return sql`(select head.*
      from unnest(${endpointIds}::text[], ${patience}::bigint[]) as source (endpoint_id, patience)
      cross join lateral (${head(context, sql`source.endpoint_id`, sql`source.patience`, perEndpoint)}) as head)`
  }
  const heads = sources.map(
    ({ endpointId, patience }) =>
      sql`select * from (${head(context, sql`${endpointId}`, sql`${patience}`, perEndpoint)}) as head`,
  )
  return sql`(${sql.join(heads, sql` union all `)})`
}

function head(context: QueueContext, endpointId: RawBuilder<unknown>, patience: RawBuilder<unknown>, limit: number) {
  const now = context.now()
  return sql`select seq, endpoint_id, priority, turn, accepted_at, account, runner_hint from requests
    where state = 'queued' and endpoint_id = ${endpointId}
      and not_before <= ${now}
      and (start_deadline is null or start_deadline > ${now})
      and (${patience} = 0 or accepted_at <= ${now} - ${patience})
    order by priority, turn, seq
    limit ${sql.lit(limit)}`
}
