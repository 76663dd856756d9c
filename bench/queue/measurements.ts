import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { LocalEvents } from '../../packages/server/src/queue/events/local-events.ts'
import { percentile } from '../statistics.ts'
import type { Contender, ContenderSpec } from './contender.ts'

/** How many submitters, or claimers, work at once where throughput is measured. */
const CONCURRENCY = 8

/** Unmeasured requests first: a runner that has just come up compiles its code and begins to listen. */
const WARM_UP = 20

let issued = 0

function freshId(): string {
  return `bench-${process.pid}-${issued++}`
}

export interface Latency {
  readonly p50: number
  readonly p99: number
}

/** From the call of submit here to the start in a runner's process, one request at a time, the runner idle. */
export async function submitToStart(contender: Contender, spec: ContenderSpec, requests: number): Promise<Latency> {
  const runner = fork(new URL('./runner.ts', import.meta.url), [JSON.stringify(spec)], {
    execArgv: ['--import', 'tsx'],
  })
  const detach =
    'events' in contender && contender.events instanceof LocalEvents ? contender.events.bridge(runner) : undefined
  await once(runner, 'message') // ready
  const samples: number[] = []
  for (let i = -WARM_UP; i < requests; i++) {
    const requestId = freshId()
    const started = startOf(runner, requestId)
    const submittedAt = performance.timeOrigin + performance.now()
    await contender.submit(requestId)
    const startedAt = await started
    if (i >= 0) samples.push(startedAt - submittedAt)
    await setTimeout(10) // The runner completes it and is idle again.
  }
  detach?.()
  runner.send('stop')
  await once(runner, 'exit')
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) }
}

function startOf(runner: ChildProcess, requestId: string): Promise<number> {
  return new Promise((resolve) => {
    const listener = (message: unknown) => {
      const { started, at } = Object(message)
      if (started !== requestId) return
      runner.off('message', listener)
      resolve(at)
    }
    runner.on('message', listener)
  })
}

export async function acceptsPerSecond(contender: Contender, requests: number): Promise<number> {
  let next = 0
  return perSecond(requests, async () => {
    while (next++ < requests) await contender.submit(freshId())
  })
}

/** Claim and complete, `requests` in all. */
export async function drainsPerSecond(contender: Contender, requests: number): Promise<number> {
  let taken = 0
  return perSecond(requests, async () => {
    while (taken++ < requests) {
      const claim = await contender.claim()
      if (claim === undefined) throw new Error(`${contender.name}: expected a request to drain, found none.`)
      await contender.complete(claim)
    }
  })
}

async function perSecond(count: number, work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  return (count / (performance.now() - start)) * 1000
}

/** The time of one claim alone, with (about) as many waiting as `reset` left; completes what it takes, untimed. */
export async function claimCost(contender: Contender, claims: number): Promise<Latency> {
  const samples: number[] = []
  for (let i = 0; i < claims; i++) {
    await contender.submit(freshId())
    const start = performance.now()
    const claim = await contender.claim()
    samples.push(performance.now() - start)
    if (claim !== undefined) await contender.complete(claim)
  }
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) }
}
