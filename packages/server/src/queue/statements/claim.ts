import { type RawBuilder, type Selectable, sql } from 'kysely'
import { bigint } from '../../db/clock.ts'
import type { Query } from '../../db/database.ts'
import { inState } from '../../db/in-state.ts'
import type { RequestsTable } from '../../db/tables.ts'
import type { QueueContext } from '../context.ts'
import type { ClaimedRequest } from '../request-queue.ts'
import { toSubmission } from '../rows.ts'
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
}

/**
 * Takes the best waiting request: priority, then age, where a warm model counts as `warmAdvantageSeconds` of age.
 *
 * Each endpoint's queue is an index in claim order, so the cost depends on the number of endpoints and not on how
 * many requests wait.
 */
export async function claim(context: QueueContext, offer: ClaimOffer): Promise<ClaimedRequest | undefined> {
  if (offer.endpointIds.length === 0) return undefined
  const claimed = await takeAny(context, offer)
  if (claimed !== undefined) context.events.publish({ type: 'request', requestId: claimed.requestId })
  return claimed
}

async function takeAny(context: QueueContext, offer: ClaimOffer): Promise<ClaimedRequest | undefined> {
  const { database } = context
  for (const entries of ENTRIES) {
    const row = await database.execute('relaxed', (query) => take(context, query, offer, entries))
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
  return {
    ...toSubmission(row),
    input: stored?.input === undefined ? (row.input ?? 'null') : await payloadText(stored.input),
    attempt: row.attempt,
    acceptedAt: new Date(row.accepted_at),
  }
}

/** The place in the queue of the request to take. */
function best(context: QueueContext, query: Query, offer: ClaimOffer, entries: number) {
  const advantage = bigint(context.options.warmAdvantageSeconds * 1000)
  const warm = offer.warm.length === 0 ? sql`null` : sql.join(offer.warm.map((name) => sql`${name}`))
  const age = sql`accepted_at - case when endpoint_id in (${warm}) or runner_hint in (${warm}) then ${advantage} else 0 end`
  const chosen = query
    .selectFrom('requests')
    .select('seq')
    .where('seq', 'in', candidates(context, sourcesOf(context, offer), entries))
    .where(inState('queued'))
    .orderBy('priority')
    .orderBy(offer.warm.length === 0 ? sql`seq` : age)
    .orderBy('seq')
    .limit(1)
  return context.database.capabilities.rowLocks ? chosen.forUpdate().skipLocked() : chosen
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
 * The places in the queue of each endpoint's first claimable entries: `perEndpoint` steps on an index, however many
 * wait.
 *
 * PostgreSQL plans a union anew and longer with every branch (0.8 ms for twelve endpoints, against 0.2 ms for the
 * lateral join); SQLite has no lateral joins and plans a branch in microseconds.
 */
function candidates(context: QueueContext, sources: readonly ClaimSource[], perEndpoint: number): RawBuilder<number> {
  if (context.database.capabilities.lateralJoins) {
    const endpointIds = sources.map((source) => source.endpointId)
    const patience = sources.map((source) => source.patience)
    return sql<number>`(select head.seq
      from unnest(${endpointIds}::text[], ${patience}::bigint[]) as source (endpoint_id, patience)
      cross join lateral (${head(context, sql`source.endpoint_id`, sql`source.patience`, perEndpoint)}) as head)`
  }
  const heads = sources.map(
    ({ endpointId, patience }) =>
      sql`select seq from (${head(context, sql`${endpointId}`, sql`${patience}`, perEndpoint)}) as head`,
  )
  return sql<number>`(${sql.join(heads, sql` union all `)})`
}

function head(context: QueueContext, endpointId: RawBuilder<unknown>, patience: RawBuilder<unknown>, limit: number) {
  const now = context.now()
  return sql`select seq from requests
    where state = 'queued' and endpoint_id = ${endpointId}
      and not_before <= ${now}
      and (start_deadline is null or start_deadline > ${now})
      and (${patience} = 0 or accepted_at <= ${now} - ${patience})
    order by priority, seq
    limit ${sql.lit(limit)}`
}
