import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import type { InventoryItem } from '../../models/inventory.ts'
import { ModelError, type ModelErrorReason } from '../../models/model-error.ts'
import type { PullPlan, PullWish } from '../../models/model-pull.ts'
import { WEIGHTS_KINDS } from '../../models/weights-kind.ts'
import { DEFAULT_ACCOUNT } from '../../queue/request-queue.ts'
import { requireKey } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import type { LocalWeights } from '../local-weights.ts'
import { readJsonValue } from '../request-body.ts'
import { eventStreamResponse, type SendEvent } from '../server-sent-events.ts'

const PATH = '/v1/darkroom/models'
const LONGEST_BODY = 10_000
const LONGEST_NAME = 2000
const PROGRESS_MILLISECONDS = 250

/** `/v1/darkroom/models`, for keys of scope ADMIN of the default account: the weights on this machine, fetching more, and removing them. */
export function weightsRoutes(dependencies: GatewayDependencies, weights: LocalWeights): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  const admin = requireKey(dependencies, {
    scope: 'ADMIN',
    account: DEFAULT_ACCOUNT,
    missing: 'Authentication required',
  })
  routes.get(PATH, admin, async (c) => {
    const warm = new Set((await dependencies.queue.runners()).flatMap((runner) => runner.warm))
    const items = await weights.inventory.list()
    return c.json({ models: items.map((item) => describe(item, warm)) })
  })
  routes.post(`${PATH}/pull`, admin, async (c) => {
    const { model, ...wish } = await readWish(c)
    const plan = await weights.pulls.plan(model, wish, c.req.raw.signal).catch((error) => {
      throw toWireError(error)
    })
    const { keepAliveSeconds } = dependencies.config.limits
    return eventStreamResponse({ signal: c.req.raw.signal, keepAliveSeconds }, (send, signal) =>
      pull(weights, plan, send, signal),
    )
  })
  routes.delete(PATH, admin, async (c) => {
    const freed = await weights.inventory.remove(c.req.query('name') ?? '').catch((error) => {
      throw toWireError(error)
    })
    return c.json({ freed_bytes: freed })
  })
  return routes
}

function describe(item: InventoryItem, warm: ReadonlySet<string>) {
  const { name, source, bytes, kind, family, lastUsedAt, isWhole, isEvictable } = item
  return {
    name,
    source: source.replace(' ', '_'),
    bytes,
    kind: kind ?? null,
    family: family ?? null,
    last_used_at: lastUsedAt ?? null,
    is_whole: isWhole,
    is_evictable: isEvictable,
    is_warm: warm.has(name),
  }
}

/** Ends with an event `done` or `failed`. Whoever goes away stops the download; another pull goes on from there. */
async function pull({ pulls }: LocalWeights, plan: PullPlan, send: SendEvent, signal: AbortSignal): Promise<void> {
  const { label, license, files, missing } = plan
  const total = plan.source.type === 'hub' ? bytesOf(missing) : undefined
  const event = (type: string, fields: object) => send(JSON.stringify({ type, ...fields }))
  await event('planned', { model: label, license: license ?? null, files, missing_bytes: total ?? null })
  const done = new Map<string, number>()
  let reportedAt = 0
  const onProgress = (file: string, fileBytes: number, fileTotal: number | undefined) => {
    done.set(file, fileBytes)
    if (performance.now() - reportedAt < PROGRESS_MILLISECONDS) return
    reportedAt = performance.now()
    const doneBytes = [...done.values()].reduce((sum, bytes) => sum + bytes, 0)
    void event('progress', { done_bytes: doneBytes, total_bytes: total ?? fileTotal ?? null })
  }
  try {
    await pulls.fetch(plan, { signal, onProgress })
    await event('done', { model: label })
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    await event('failed', { reason: error.reason, message: error.message })
  }
}

function bytesOf(files: PullPlan['missing']): number {
  return files.reduce((sum, { size }) => sum + size, 0)
}

async function readWish(c: GatewayContext): Promise<PullWish & { readonly model: string }> {
  const body = await readJsonValue(c.req.raw, LONGEST_BODY)
  const fields: Readonly<Record<string, unknown>> = typeof body === 'object' && body !== null ? { ...body } : {}
  const { model, variant, kind } = fields
  if (typeof model !== 'string' || model === '' || model.length > LONGEST_NAME) {
    throw new WireError(400, 'model: expected a hub id, a Civitai page or a URL')
  }
  if (variant !== undefined && typeof variant !== 'string') throw new WireError(400, 'variant: expected a text')
  const known = WEIGHTS_KINDS.find((each) => each === kind)
  if (kind !== undefined && known === undefined) {
    throw new WireError(400, `kind: expected one of ${WEIGHTS_KINDS.join(', ')}`)
  }
  return { model, ...(variant !== undefined && { variant }), ...(known !== undefined && { kind: known }) }
}

const STATUSES: Partial<Record<ModelErrorReason, number>> = {
  'not-found': 404,
  gated: 403,
  forbidden: 403,
  'rate-limited': 429,
  unreachable: 502,
  blocked: 502,
  corrupt: 502,
  'disk-full': 507,
}

function toWireError(error: unknown): unknown {
  if (!(error instanceof ModelError)) return error
  return new WireError(STATUSES[error.reason] ?? 400, error.message, { cause: error })
}
