/** Fetching a large file from loopback, beside curl: `npx tsx bench/models/pull.ts [--gigabytes 4] [--runs 3]`. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median } from '../statistics.ts'

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '4' },
    runs: { type: 'string', default: '3' },
    folder: { type: 'string' },
  },
})
const bytes = Number(values.gigabytes) * 1e9
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const tsx = (name: string, ...args: string[]) => ['--import', 'tsx', script(name), ...args]

const server = spawn(process.execPath, tsx('hub-process.ts', String(bytes)), { stdio: ['ignore', 'pipe', 'inherit'] })
const { origin } = JSON.parse(
  await new Promise<string>((resolve) => server.stdout.once('data', (line) => resolve(String(line)))),
) as {
  origin: string
}
const folder = mkdtempSync(join(values.folder ?? tmpdir(), 'darkroom-pull-'))

interface Pulled {
  readonly seconds: number
  readonly mostBytes: number
  readonly grownBytes: number
}

function pull(): Pulled {
  const cache = join(folder, 'cache')
  const output = execFileSync(process.execPath, tsx('pull-process.ts', origin, cache), { encoding: 'utf8' })
  rmSync(cache, { recursive: true })
  execFileSync('sync')
  return JSON.parse(output) as Pulled
}

/** @param command run by a shell when the file is there, in the time that is measured */
function curl(command: string): number {
  const file = join(folder, 'file')
  const startedAt = performance.now()
  execFileSync('sh', ['-c', `curl -sf -o '${file}' ${origin}/x && ${command.replaceAll('FILE', `'${file}'`)}`])
  const seconds = (performance.now() - startedAt) / 1000
  rmSync(file)
  execFileSync('sync')
  return seconds
}

try {
  const pulls: Pulled[] = []
  const [bare, durable, checked]: number[][] = [[], [], []]
  for (let run = 0; run < Number(values.runs); run++) {
    pulls.push(pull())
    bare?.push(curl('true'))
    durable?.push(curl('sync FILE'))
    checked?.push(curl('sync FILE && sha256sum FILE > /dev/null'))
  }
  const seconds = median(pulls.map((each) => each.seconds))
  const line = (name: string, other: readonly number[]) =>
    console.log(
      `${name.padEnd(38)} ${median(other).toFixed(2)} s   darkroom takes ${(seconds / median(other)).toFixed(2)} × as long`,
    )
  const megabytes = (count: number) => `${Math.round(count / 1e6)} MB`
  console.log(`${values.gigabytes} GB from loopback, medians of ${values.runs} runs by turns`)
  console.log(`darkroom: four ranges, SHA-256, flushed  ${seconds.toFixed(2)} s`)
  line('curl', bare ?? [])
  line('curl, flushed', durable ?? [])
  line('curl, flushed, sha256sum', checked ?? [])
  const most = median(pulls.map((each) => each.mostBytes))
  console.log(
    `memory: ${megabytes(most)} at most, ${megabytes(median(pulls.map((each) => each.grownBytes)))} more than at the start`,
  )
} finally {
  server.kill()
  rmSync(folder, { recursive: true, force: true })
}
