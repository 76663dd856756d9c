import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { percentile } from '../statistics.ts'
import { createLibsqlSystem, createPostgresSystem } from './darkroom-system.ts'
import { createPgBossSystem } from './pg-boss-system.ts'
import { PostgresServer } from './postgres-server.ts'
import { type RunOptions, type RunReport, runCrashes } from './run.ts'
import type { System } from './system.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    clients: { type: 'string', default: '20' },
    pause: { type: 'string', default: '2' },
    patience: { type: 'string', default: '240' },
    postgres: { type: 'string' },
    peer: { type: 'string' },
    'skip-libsql': { type: 'boolean', default: false },
    'skip-postgres': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})

const options: RunOptions = {
  kills: Number(values.kills),
  clients: Number(values.clients),
  pauseSeconds: Number(values.pause),
  patienceSeconds: Number(values.patience),
  work: [50, 300],
  onKill: (victim, count) => {
    if (count % 25 === 0) console.error(`${count} kills, the last a ${victim}`)
  },
}

console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`)
if (!values['skip-libsql']) await measure((folder) => createLibsqlSystem(folder))
const { postgres, peer } = values
if (postgres === undefined) console.log('PostgreSQL is measured with --postgres FOLDER of its binaries.')
else {
  if (!values['skip-postgres']) await measureOn(postgres, createPostgresSystem)
  if (peer !== undefined) await measureOn(postgres, (folder, server) => createPgBossSystem(folder, server, peer))
}

function measureOn(binaries: string, create: (folder: string, server: PostgresServer) => Promise<System>) {
  return measure(async (folder, closing) => {
    const server = await PostgresServer.create(binaries, folder)
    await server.start()
    closing.push(() => server.stop())
    return create(folder, server)
  })
}

async function measure(create: (folder: string, closing: (() => Promise<void>)[]) => Promise<System>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-crash-'))
  const closing: (() => Promise<void>)[] = []
  // Ctrl-C ends the bench's other processes by themselves, for their channel to it closes; the database has none.
  const interrupted = async () => {
    for (const close of closing) await close()
    process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted)
  try {
    const system = await create(folder, closing)
    console.log(`\n${system.name}`)
    print(await runCrashes(system, options))
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted)
    for (const close of closing) await close()
    if (values.keep) console.log(`  what it left: ${folder}`)
    else rmSync(folder, { recursive: true })
  }
}

function print(report: RunReport): void {
  const kills = Object.entries(report.kills).map(([name, count]) => `${count} ${name}`)
  const rows: [string, string | number][] = [
    ['kills', kills.join(', ')],
    ['seconds', Math.round(report.seconds)],
    ['accepted', `${report.accepted} (and ${report.unanswered} submits without an answer)`],
    ['accepted and lost', listed(report.lost)],
    ['wrong result', listed(report.wrong)],
    ['completed twice', listed(report.completedTwice)],
    ['webhooks missing', listed(report.webhooksMissing)],
    ['webhooks repeated', report.webhooksRepeated],
    ['died by themselves', listed(report.diedAlone)],
    ['executions', report.executions],
    ['running again after a death', quantiles(report.restarts)],
    ['running again after a hang', quantiles(report.restartsAfterHang)],
  ]
  for (const [name, value] of rows) console.log(`  ${name.padEnd(28)} ${value}`)
}

function listed(ids: readonly string[]): string {
  return ids.length === 0 ? '0' : `${ids.length}: ${ids.slice(0, 5).join(' ')}`
}

function quantiles(milliseconds: readonly number[]): string {
  if (milliseconds.length === 0) return 'none'
  const at = (p: number) => (percentile(milliseconds, p) / 1000).toFixed(2)
  return `p50 ${at(0.5)} s, p99 ${at(0.99)} s, most ${at(1)} s (${milliseconds.length} requests)`
}
