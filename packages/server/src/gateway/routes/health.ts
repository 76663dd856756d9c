import { setTimeout as sleep } from 'node:timers/promises'
import { Hono } from 'hono'
import type { ArithmeticName } from '../../endpoints/endpoint.ts'
import { answerableError } from '../../errors/errors.ts'
import { DEFAULT_ACCOUNT, type RequestQueue, type RunnerAdvertisement } from '../../queue/request-queue.ts'
import { requireKey } from '../authentication.ts'
import type { GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { type DiskFigures, diskBody } from '../disk-use.ts'
import type { GatewayMetrics } from '../metrics.ts'

/** Whoever asks whether this process lives waits no longer for a queue that is away. */
const HEALTH_MILLISECONDS = 100

/**
 * `/health` (the process answers, what its runners draw with and how full it is), `/ready` (what it depends on answers too) and `/metrics`
 * (Prometheus text), which tell of all accounts together and so need a key of the default one, unless the configuration opens them.
 */
export function healthRoutes(dependencies: GatewayDependencies): RouteGroup {
  const { readiness, metrics, queue, config } = dependencies
  const routes = new Hono<GatewayEnv>()
  routes.get('/health', async (c) => {
    const figures = dependencies.disk?.()
    return c.json({ status: 'ok', ...(await runnersOf(queue)), ...(figures && { disk: diskBody(figures) }) })
  })
  routes.get('/ready', async (c) => {
    const checks = await Promise.all(Object.entries(readiness ?? {}).map(runCheck))
    const ready = checks.every(([, problem]) => problem === 'ok')
    return c.json({ status: ready ? 'ok' : 'unavailable', checks: Object.fromEntries(checks) }, ready ? 200 : 503)
  })
  if (!config.openMetrics) routes.use('/metrics', requireKey(dependencies, { account: DEFAULT_ACCOUNT }))
  routes.get('/metrics', async (c) => {
    await readQueue(queue, metrics)
    const figures = dependencies.disk?.()
    if (figures) showDisk(figures, metrics)
    c.header('content-type', metrics.registry.contentType)
    return c.body(await metrics.registry.metrics())
  })
  return routes
}

/** What the runners draw with; left out where the queue does not answer, of which `/ready` tells. */
async function runnersOf(queue: Pick<RequestQueue, 'runners'>): Promise<{ runners?: readonly ArithmeticName[] }> {
  const late = sleep(HEALTH_MILLISECONDS, undefined, { ref: false })
  const runners = await Promise.race([queue.runners().catch(() => undefined), late])
  return runners === undefined ? {} : { runners: arithmetics(runners) }
}

function arithmetics(runners: readonly RunnerAdvertisement[]): ArithmeticName[] {
  return runners.map(({ device, precision = 'exact' }) => ({ device, precision }))
}

async function readQueue(queue: Pick<RequestQueue, 'load' | 'runners'>, metrics: GatewayMetrics): Promise<void> {
  const [load, runners] = await Promise.all([queue.load(), queue.runners()])
  metrics.queueRequests.reset()
  for (const { endpointId, queued, running } of load) {
    metrics.queueRequests.set({ endpoint: endpointId, state: 'queued' }, queued)
    metrics.queueRequests.set({ endpoint: endpointId, state: 'running' }, running)
  }
  metrics.runners.set(runners.length)
  metrics.runnerDevices.reset()
  for (const { device, precision } of arithmetics(runners)) metrics.runnerDevices.inc({ device, precision })
  showRunners(runners, metrics)
}

function showRunners(runners: readonly RunnerAdvertisement[], metrics: GatewayMetrics): void {
  const { runnerBusy, runnerCapacity, runnerResidentBytes, runnerMachineBytes } = metrics
  for (const gauge of [runnerBusy, runnerCapacity, runnerResidentBytes, runnerMachineBytes]) gauge.reset()
  for (const { runnerId: runner, device, precision = 'exact', ...of } of runners) {
    runnerBusy.set({ runner, device, precision }, of.busy)
    runnerCapacity.set({ runner }, of.capacity)
    if (of.residentBytes !== undefined) runnerResidentBytes.set({ runner }, of.residentBytes)
    runnerMachineBytes.set({ runner }, of.memoryBytes)
  }
}

function showDisk(figures: DiskFigures, { storedBytes, storedBudgetBytes, diskFreeBytes }: GatewayMetrics): void {
  const { payloadBytes, fileBytes, freeBytes } = figures
  if (payloadBytes !== undefined) storedBytes.set({ kind: 'payloads' }, payloadBytes)
  if (fileBytes !== undefined) storedBytes.set({ kind: 'files' }, fileBytes)
  storedBudgetBytes.set({ kind: 'payloads' }, figures.payloadBudgetBytes)
  storedBudgetBytes.set({ kind: 'files' }, figures.fileBudgetBytes)
  if (freeBytes !== undefined) diskFreeBytes.set(freeBytes)
}

async function runCheck([name, check]: [string, () => Promise<void>]): Promise<[string, string]> {
  try {
    await check()
    return [name, 'ok']
  } catch (error) {
    // An outage's own message says where the store lies, and this route is open to all.
    const shown = answerableError(error) ?? error
    return [name, shown instanceof Error ? shown.message : String(shown)]
  }
}
