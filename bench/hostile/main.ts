import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ATTACKS } from './attacks.ts'
import { type Phase, type RunReport, runHostile } from './run.ts'
import { FULL, SMALL } from './target.ts'
import { prepareTrouble } from './troubles.ts'

const { values } = parseArgs({
  options: {
    attacks: { type: 'string' },
    busy: { type: 'boolean', default: false },
    clients: { type: 'string', default: '20' },
    pause: { type: 'string', default: '1000' },
    quiet: { type: 'string', default: '40' },
    small: { type: 'boolean', default: false },
    trouble: { type: 'string' },
    postgres: { type: 'string' },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'darkroom-hostile-'))
console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}, load ${loadavg()[0]}`,
)
console.log(
  '\n| attack | honest answered | p50, ms | p99, ms | /health most, ms | loop held most, ms | gateway most, MB | processor s: gateway, runner, attacker | the attacker was answered |',
)
console.log('|---|---|---|---|---|---|---|---|---|')
const trouble = values.trouble === undefined ? undefined : await prepareTrouble(values.trouble, folder, values.postgres)
try {
  print(
    await runHostile(folder, {
      scale: values.small ? SMALL : FULL,
      clients: Number(values.clients),
      pauseMs: Number(values.pause),
      quietSeconds: Number(values.quiet),
      attackerYields: !values.busy,
      attacks: values.attacks?.split(',') ?? Object.keys(ATTACKS),
      ...(trouble && { environment: trouble.environment, strike: trouble.strike }),
      onPhase: printPhase,
    }),
  )
} finally {
  await trouble?.close()
  rmSync(folder, { recursive: true, force: true })
}

function printPhase(phase: Phase): void {
  const { name, asked, answered, failures, p50, p99, healthMax, loopMax, gatewayBytes, processor, outcomes } = phase
  const answers = Object.entries(outcomes).map(([what, times]) => `${times} × ${what}`)
  const cells = [
    name,
    `${answered} of ${asked}`,
    Math.round(p50),
    Math.round(p99),
    Math.round(healthMax),
    Math.round(loopMax),
    Math.round(gatewayBytes / 1e6),
    [processor.gateway, processor.runners, processor.attacker].map((seconds) => seconds.toFixed(1)).join(', '),
    answers.join(', '),
  ]
  console.log(`| ${cells.join(' | ')} |`)
  for (const failure of new Set(failures)) console.log(`    ${failure}`)
}

function print({ quiet, attacked, ended, disk }: RunReport): void {
  const worst = (of: (phase: Phase) => number) => Math.max(...attacked.map(of))
  const rows: [string, string | number][] = [
    ['honest requests that were not answered', attacked.reduce((sum, { failures }) => sum + failures.length, 0)],
    ['worst p99, against the quiet one', `${(worst(({ p99 }) => p99) / quiet.p99).toFixed(2)} ×`],
    ['/health, most', `${Math.round(worst(({ healthMax }) => healthMax))} ms`],
    ['event loop of the gateway held, most', `${Math.round(worst(({ loopMax }) => loopMax))} ms`],
    ['gateway, most', `${Math.round(worst(({ gatewayBytes }) => gatewayBytes) / 1e6)} MB`],
    ['processes that ended', ended.length === 0 ? '0' : ended.join(', ')],
    ['left of unfinished uploads', disk.leftovers.length],
    ['files that were uploaded in full', disk.files],
    ['data folder', `${Math.round(disk.bytes / 1e6)} MB`],
  ]
  console.log()
  for (const [name, value] of rows) console.log(`  ${name.padEnd(42)} ${value}`)
}
