/**
 * How much time do gateway, direct channel and runner add to a handler that does nothing?
 *
 *   npx tsx bench/gateway/overhead.ts [rounds] [only, e.g. 'sync run']
 *
 * Gateway, runner and peers are processes of their own; the load comes from this one. Every scenario runs on every server
 * in every round, so that a slow machine shows on all of them; printed are the medians of the rounds. Last results: README.md.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { RunnerAdvertisement } from '../../packages/server/src/queue/request-queue.ts'
import { median, percentile } from '../statistics.ts'
import { type Callers, channelCallers, httpCallers, realtimeCallers } from './callers.ts'
import { cpuOf } from './cpu-question.ts'
import { closedLoop, type Measured, openLoop } from './load.ts'

const INPUT = { prompt: 'a lighthouse at dusk, oil on canvas', seed: 42 }
const WARM_UP_CALLS = 1_500

interface Scenario {
  readonly name: string
  readonly callers: number
  readonly nextInput: () => Readonly<Record<string, unknown>>
  readonly measure: (callers: Callers) => Promise<Measured>
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'one caller',
    callers: 1,
    nextInput: () => INPUT,
    measure: ({ call }) => closedLoop(1, 3_000, call),
  },
  ...[300, 600].map((perSecond) => ({
    name: `50 connections, ${perSecond} calls/s`,
    callers: 50,
    nextInput: () => INPUT,
    measure: ({ call }: Callers) => openLoop(50, perSecond * 5, perSecond, call),
  })),
  {
    name: '50 in flight, each waits 50 to 150 ms',
    callers: 50,
    nextInput: () => ({ ...INPUT, wait_ms: 50 + Math.random() * 100 }),
    measure: ({ call }) => closedLoop(50, 2_500, call),
  },
  {
    name: '50 callers, no pause',
    callers: 50,
    nextInput: () => INPUT,
    measure: ({ call }) => closedLoop(50, 5_000, call),
  },
]

interface Contender {
  readonly name: string
  /** The process whose time is counted; absent for one that runs here. */
  readonly process?: ChildProcess
  connect(scenario: Scenario): Callers | Promise<Callers>
}

interface Figures {
  readonly p50: number
  readonly p99: number
  readonly perSecond: number
  /** Milliseconds of the server process per call. */
  readonly cpu: number
}

async function measureAll(rounds: number): Promise<void> {
  const children: ChildProcess[] = []
  const start = async (file: string, argument = ''): Promise<[ChildProcess, unknown]> => {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), [argument], { execArgv: ['--import', 'tsx'] })
    children.push(child)
    return [child, (await once(child, 'message'))[0]]
  }
  try {
    const [gateway, gatewayPort] = (await start('idle-gateway.ts')) as [ChildProcess, number]
    const [runner, advertisement] = (await start('idle-runner.ts')) as [ChildProcess, RunnerAdvertisement]
    gateway.send(advertisement)
    runner.on('message', (message) => gateway.send(message as RunnerAdvertisement))
    const [bare, barePort] = (await start('peer-server.ts', 'bare')) as [ChildProcess, number]
    const [hono, honoPort] = (await start('peer-server.ts', 'hono')) as [ChildProcess, number]
    const http = (port: number) => (scenario: Scenario) => httpCallers(port, scenario.callers, scenario.nextInput)
    await report(rounds, [
      { name: 'bare node:http', process: bare, connect: http(barePort) },
      { name: 'bare hono', process: hono, connect: http(honoPort) },
      { name: 'direct channel', connect: ({ nextInput }) => channelCallers(advertisement, nextInput) },
      { name: 'sync run', process: gateway, connect: http(gatewayPort) },
      {
        name: 'realtime frame',
        process: gateway,
        connect: ({ callers, nextInput }) => realtimeCallers(gatewayPort, callers, nextInput),
      },
    ])
  } finally {
    for (const child of children) child.disconnect()
  }
}

async function report(rounds: number, all: readonly Contender[]): Promise<void> {
  const contenders = all.filter(({ name }) => name.startsWith(process.argv[3] ?? ''))
  for (const contender of contenders) await warmUp(contender)
  for (const scenario of SCENARIOS) {
    console.log(`\n${scenario.name} (load average ${loadavg()[0]?.toFixed(1)})`)
    const figures = new Map<Contender, Figures[]>(contenders.map((contender) => [contender, []]))
    for (let round = 0; round < rounds; round++) {
      for (const contender of contenders) figures.get(contender)?.push(await measure(contender, scenario))
    }
    for (const [{ name, process }, rounds] of figures) console.log(line(name, rounds, process !== undefined))
  }
}

async function warmUp(contender: Contender): Promise<void> {
  const callers = await contender.connect({ ...(SCENARIOS[0] as Scenario), callers: 50 })
  await closedLoop(50, WARM_UP_CALLS, callers.call)
  callers.close()
}

async function measure(contender: Contender, scenario: Scenario): Promise<Figures> {
  const callers = await contender.connect(scenario)
  await closedLoop(scenario.callers, scenario.callers * 4, callers.call)
  const cpu = async () => (contender.process === undefined ? 0 : await cpuOf(contender.process))
  const before = await cpu()
  const { latencies, perSecond } = await scenario.measure(callers)
  const used = (await cpu()) - before
  callers.close()
  return {
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    perSecond,
    cpu: used / latencies.length,
  }
}

function line(name: string, rounds: readonly Figures[], hasProcess: boolean): string {
  const middle = (of: keyof Figures) => median(rounds.map((figures) => figures[of]))
  return (
    `${name.padEnd(15)} p50 ${middle('p50').toFixed(2).padStart(6)} ms, p99 ${middle('p99').toFixed(2).padStart(6)} ms, ` +
    `${Math.round(middle('perSecond'))}/s${hasProcess ? `, ${middle('cpu').toFixed(2)} ms of processor time each` : ''}`
  )
}

await measureAll(Number(process.argv[2] ?? 3))
