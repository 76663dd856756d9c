import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { median } from '../statistics.ts'
import { type Contender, type ContenderSpec, createContender } from './contender.ts'
import { probeFsync } from './fsync-probe.ts'
import { acceptsPerSecond, claimCost, drainsPerSecond, type Latency, submitToStart } from './measurements.ts'

const { values } = parseArgs({
  options: {
    postgres: { type: 'string' },
    peer: { type: 'string' },
    waiting: { type: 'string', default: '100000' },
    requests: { type: 'string', default: '300' },
    data: { type: 'string', default: tmpdir() },
  },
})
const CLAIM_ROUNDS = 3

const waiting = Number(values.waiting)
const requests = Number(values.requests)

const dataFolder = mkdtempSync(join(values.data, 'darkroom-bench-'))
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`)
try {
  await compare(contenderSpecs())
} finally {
  rmSync(dataFolder, { recursive: true })
}

function contenderSpecs(): ContenderSpec[] {
  const { postgres, peer } = values
  const specs: ContenderSpec[] = [{ kind: 'darkroom', dataFolder }]
  if (postgres === undefined) return specs
  specs.push({ kind: 'darkroom', dataFolder, databaseUrl: postgres })
  if (peer !== undefined) specs.push({ kind: 'pg-boss', databaseUrl: postgres, modulePath: peer })
  return specs
}

/** Every contender by turns for each measurement, so that they meet the machine in nearly the same state. */
async function compare(specs: readonly ContenderSpec[]): Promise<void> {
  if (specs.length === 1) console.log('PostgreSQL is measured with --postgres URL, a peer beside it with --peer PATH.')
  const contenders: [Contender, ContenderSpec][] = []
  for (const spec of specs) contenders.push([await createContender(spec), spec])
  for (const depth of [0, waiting]) {
    console.log(`\n${depth} waiting`)
    for (const [contender, spec] of contenders) {
      await contender.reset(depth, 'beside')
      row('submit→start', contender, latency(await submitToStart(contender, spec, requests)))
    }
    for (const [contender] of contenders) {
      await contender.reset(depth, 'measured')
      row('accepts', contender, rate(await acceptsPerSecond(contender, requests * 5)))
      row('drains', contender, rate(await drainsPerSecond(contender, requests * 5)))
    }
  }
  for (const [contender] of contenders) await measureClaims(contender)
  for (const [contender] of contenders) {
    await contender.reset(0, 'measured')
    await contender.close()
  }
}

/** The cost of a claim alone, from an empty queue to a deep one: by turns, or the first depth would pay for all that is still cold. */
async function measureClaims(contender: Contender): Promise<void> {
  console.log('\none claim')
  const depths = [0, waiting / 100, waiting / 10, waiting]
  const rounds: Latency[][] = depths.map(() => [])
  for (let round = 0; round < CLAIM_ROUNDS; round++) {
    for (const [i, depth] of depths.entries()) {
      await contender.reset(depth, 'measured')
      await claimCost(contender, requests) // warms caches and statistics
      rounds[i]?.push(await claimCost(contender, requests))
    }
  }
  const costs = rounds.map((of) => ({
    p50: median(of.map(({ p50 }) => p50)),
    p99: median(of.map(({ p99 }) => p99)),
  }))
  for (const [i, cost] of costs.entries()) row(`at ${depths[i]}`, contender, latency(cost))
  const [empty, deep] = [costs[0]?.p50 ?? Number.NaN, costs.at(-1)?.p50 ?? Number.NaN]
  console.log(`  p50 at ${waiting}, of that at 0: ${(deep / empty).toFixed(2)}`)
}

/** The disk changes its pace over minutes, so each line says how fast it was just then. */
function row(name: string, contender: Contender, value: string): void {
  const { milliseconds, regime } = probeFsync(dataFolder)
  const disk = `fsync ${milliseconds.toFixed(2)} ms, ${regime}`
  console.log(`  ${name.padEnd(12)}  ${contender.name.padEnd(23)}  ${value.padEnd(30)}  (${disk})`)
}

function rate(perSecond: number): string {
  return `${Math.round(perSecond)}/s`
}

function latency({ p50, p99 }: Latency): string {
  return `p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms`
}
