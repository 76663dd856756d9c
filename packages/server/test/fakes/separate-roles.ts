import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Journalled, readJournal } from '../../../../bench/crash/journal.ts'
import type { BenchConfig } from '../../../../bench/crash/processes/setup.ts'
import { WORK_ENDPOINT_ID, workSchema } from '../../../../bench/crash/work-endpoint.ts'
import { type ConfigOverrides, readConfig } from '../../src/config/config.ts'
import type { LocalRunners } from '../../src/processes/runners/local-runners.ts'
import { startRunnersAlone } from '../../src/processes/runners/local-runners.ts'
import { startGatewayAlone } from '../../src/processes/server-process.ts'
import { SILENT_LOG } from './silent-log.ts'

/** A runner that works as long as it is told to, and journals it. */
export const RUNNER_ENTRY: URL = new URL('../../../../bench/crash/processes/runner-entry.ts', import.meta.url)

/** Work of a request: how long it takes, the file that holds it up, and what it leaks. */
export interface Work {
  readonly ms: number
  readonly hold?: string
  readonly leak_bytes?: number
}

export interface WorkResult {
  readonly token: string
  readonly pid: number
  readonly execution: string
}

/** A gateway alone and runners alone on one data folder, the runners in processes of their own. */
export interface SeparateRoles {
  readonly url: string
  readonly config: BenchConfig
  startRunners(runners?: ConfigOverrides['runners'], config?: Partial<BenchConfig>): Promise<LocalRunners>
  /** @returns the request id */
  submit(work: Work): Promise<string>
  /** A sync run: resolves with the answer. */
  run(work: Work): Promise<Response>
  stopGateway(): Promise<void>
  /** Waits for the result. @throws when it is an error */
  result(requestId: string): Promise<WorkResult>
  /** What the runners did so far. */
  journal(): Journalled[]
  /** Waits until a runner has begun to work on the request. @returns its process id */
  started(requestId: string): Promise<number>
  close(): Promise<void>
}

export async function startSeparateRoles(): Promise<SeparateRoles> {
  const dataFolder = mkdtempSync(join(tmpdir(), 'darkroom-roles-'))
  const configure = (runners: ConfigOverrides['runners'] = {}): BenchConfig => ({
    ...readConfig({ port: 0, dataFolder, logLevel: 'silent', runners }, { DARKROOM_DRAIN_SECONDS: '10' }),
    journal: join(dataFolder, 'journal'),
  })
  const config = configure()
  const log = SILENT_LOG
  const gateway = await startGatewayAlone(config, log, [workSchema])
  const started: LocalRunners[] = []
  const queueUrl = `${gateway.url}/queue/${WORK_ENDPOINT_ID}`
  const journal = () => readJournal(config.journal)
  return {
    url: gateway.url,
    config,
    journal,
    async startRunners(runners = {}, more = {}) {
      const running = await startRunnersAlone({ ...configure(runners), ...more }, log, RUNNER_ENTRY)
      started.push(running)
      await running.ready
      return running
    },
    run: (work) => post(`${gateway.url}/run/${WORK_ENDPOINT_ID}`, work),
    stopGateway: () => gateway.stop(),
    async submit(work) {
      const response = await post(queueUrl, work)
      return ((await response.json()) as { request_id: string }).request_id
    },
    async result(requestId) {
      const url = `${queueUrl}/requests/${requestId}`
      for (;;) {
        const { status } = (await (await fetch(`${url}/status`)).json()) as { status: string }
        if (status === 'COMPLETED') break
        await sleep(20)
      }
      const response = await fetch(url)
      const body = await response.text()
      if (response.status !== 200) throw new Error(`${response.status} ${body}`)
      return JSON.parse(body)
    },
    async started(requestId) {
      for (;;) {
        const entry = journal().findLast((each) => each.event === 'start' && each.requestId === requestId)
        if (entry !== undefined) return entry.pid
        await sleep(20)
      }
    },
    async close() {
      await Promise.all(started.map((runners) => runners.stop()))
      await gateway.stop()
      rmSync(dataFolder, { recursive: true, force: true })
    },
  }
}

function post(url: string, work: Work): Promise<Response> {
  const body = JSON.stringify({ token: crypto.randomUUID(), ...work })
  return fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
}
