import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import type { UsageRow } from '../../queue/request-queue.ts'
import { accountOf, requireKey } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { pageEnd, readPage } from '../pagination.ts'
import { readChoice, readTime } from '../query-parameters.ts'
import { TIMEFRAMES, TimeBuckets, type Timeframe, timeframeFor } from '../time-buckets.ts'
import { PRICE } from './models.ts'

const BUCKETS_PER_PAGE = { standard: 100, most: 1000 }
const MOST_IDS = 50
const DAY = 86_400_000
/** Every zone's clocks differ by multiples of it. */
const COUNTED_MILLISECONDS = 900_000
const EXPANSIONS = ['time_series', 'summary', 'auth_method', 'auth_method_structured'] as const

/**
 * `GET /v1/models/usage` of the Platform API, for keys of scope ADMIN: the account's answered requests by time, endpoint and, where it is asked for,
 * key; as far back as requests are kept. A request is one unit, as `x-fal-billable-units` says.
 */
export function usageRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  const admin = requireKey(dependencies, { scope: 'ADMIN', missing: 'Authentication required' })
  routes.get('/v1/models/usage', admin, async (c) => c.json(await usage(dependencies, c)))
  return routes
}

interface UsageQuestion {
  readonly buckets: TimeBuckets
  readonly timeframe: Timeframe
  readonly from: number
  readonly before: number
  readonly expand: ReadonlySet<(typeof EXPANSIONS)[number]>
}

async function usage(dependencies: GatewayDependencies, c: GatewayContext) {
  const { queue, catalogue, keys } = dependencies
  const page = readPage({ limit: c.req.query('limit'), cursor: c.req.query('cursor') }, BUCKETS_PER_PAGE)
  const question = readQuestion(c)
  const keyIds = listOf(c, 'api_key_id')
  const account = accountOf(c)
  const rows = await queue.usage({
    account,
    endpointIds: listOf(c, 'endpoint_id') ?? catalogue.endpoints.map(({ id }) => id),
    ...(keyIds && { keyIds }),
    from: new Date(question.from),
    before: new Date(question.before),
    bucketMs: question.timeframe === 'minute' ? 60_000 : COUNTED_MILLISECONDS,
  })
  const aliases = new Map((await keys?.list(account))?.map(({ keyId, alias }) => [keyId, alias]))
  const describe = (part: readonly UsageRow[]) => lineItems(part, question.expand, aliases)
  const series = [...grouped(rows, ({ startedAt }) => question.buckets.startOf(startedAt.getTime()))]
    .sort(([a], [b]) => a - b)
    .map(([start, part]) => ({ bucket: question.buckets.label(start), results: describe(part) }))
  return {
    ...(question.expand.has('time_series') && { time_series: series.slice(page.offset, page.offset + page.limit) }),
    ...(question.expand.has('summary') && { summary: describe(rows) }),
    ...pageEnd(page, question.expand.has('time_series') && series.length > page.offset + page.limit),
  }
}

function readQuestion(c: GatewayContext): UsageQuestion {
  const end = readTime('end', c.req.query('end'))?.getTime() ?? Date.now()
  const start = readTime('start', c.req.query('start'))?.getTime() ?? end - DAY
  const timeframe = readChoice('timeframe', c.req.query('timeframe'), TIMEFRAMES) ?? timeframeFor(end - start)
  const buckets = bucketsOf(timeframe, c.req.query('timezone') ?? 'UTC')
  const isBound = readChoice('bound_to_timeframe', c.req.query('bound_to_timeframe'), ['true', 'false']) !== 'false'
  const expand = (listOf(c, 'expand') ?? ['time_series']).map((name) => readChoice('expand', name, EXPANSIONS))
  const expanded = new Set(expand.filter((name) => name !== undefined))
  if (!expanded.has('time_series') && !expanded.has('summary')) {
    throw new WireError(400, 'expand: expected time_series or summary among what is wanted')
  }
  const from = isBound ? buckets.startOf(start) : start
  // A range that ends where a bucket begins has that bucket's beginning as its end.
  const before = isBound && buckets.startOf(end) !== end ? buckets.next(end) : end
  return { buckets, timeframe, from, before, expand: expanded }
}

function bucketsOf(timeframe: Timeframe, zone: string): TimeBuckets {
  try {
    return new TimeBuckets(timeframe, zone)
  } catch (cause) {
    throw new WireError(400, `timezone: expected a name such as Europe/Berlin, found ${zone.slice(0, 100)}`, { cause })
  }
}

/** A list by repetition or commas, as the Platform API takes both. */
function listOf(c: GatewayContext, name: string): string[] | undefined {
  const values = c.req.queries(name)?.flatMap((text) => text.split(',')) ?? []
  if (values.length > MOST_IDS) throw new WireError(400, `${name}: expected at most ${MOST_IDS}`)
  return values.length === 0 ? undefined : values
}

function grouped<K>(rows: readonly UsageRow[], keyOf: (row: UsageRow) => K): Map<K, [UsageRow, ...UsageRow[]]> {
  const groups = new Map<K, [UsageRow, ...UsageRow[]]>()
  for (const row of rows) {
    const group = groups.get(keyOf(row))
    if (group) group.push(row)
    else groups.set(keyOf(row), [row])
  }
  return groups
}

/** A line for each endpoint, or for each endpoint and key. */
function lineItems(
  rows: readonly UsageRow[],
  expand: UsageQuestion['expand'],
  aliases: ReadonlyMap<string, string>,
): object[] {
  const byKey = expand.has('auth_method') || expand.has('auth_method_structured')
  const groups = grouped(rows, ({ endpointId, keyId }) => JSON.stringify([endpointId, byKey ? keyId : null]))
  return [...groups.values()].map((group) => {
    const [{ endpointId, keyId }] = group
    const detail = keyId === undefined ? 'None' : (aliases.get(keyId) ?? keyId)
    return {
      endpoint_id: endpointId,
      unit: PRICE.unit,
      quantity: group.reduce((sum, { requests }) => sum + requests, 0),
      unit_price: PRICE.unit_price,
      percent_discount: null,
      cost_subtotal: 0,
      cost_discount: 0,
      cost_total: 0,
      cost: 0,
      currency: PRICE.currency,
      ...(expand.has('auth_method') && { auth_method: detail }),
      ...(expand.has('auth_method_structured') && {
        auth_method_structured: { detail, ...(keyId !== undefined && { api_key_id: keyId }) },
      }),
    }
  })
}
