/**
 * A newcomer's way with a stopwatch: `npx tsx bench/first-picture/main.ts [clone|npx]`, both without a word.
 *
 *   clone   git clone, npm ci, npm start, the page in Chromium, one press of Draw
 *   npx     npx of the packed packages in an empty folder, and the same page
 *
 * npm's cache is empty each time, and nothing of this clone is used but what git and the tarballs hold.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launchBrowser } from '../../packages/server/test/browser/chromium.ts'
import { addressOf } from '../../scripts/pack/installed-server.ts'
import { packAll } from '../../scripts/pack/pack.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DRAWN = { timeout: 120_000 }

type Way = (ground: string) => Promise<void>
const WAYS: Readonly<Record<string, Way>> = { clone: byClone, npx: byNpx }

class Stopwatch {
  readonly #startedAt = performance.now()
  #lapAt = this.#startedAt

  /** Says how long the step took, and all so far. */
  lap(step: string): void {
    const now = performance.now()
    const seconds = (since: number) => ((now - since) / 1000).toFixed(1)
    console.log(`${seconds(this.#lapAt).padStart(7)} s  ${step} (${seconds(this.#startedAt)} s in all)`)
    this.#lapAt = now
  }
}

async function byClone(ground: string): Promise<void> {
  const clone = join(ground, 'darkroom')
  const env = environmentIn(ground)
  const watch = new Stopwatch()
  execFileSync('git', ['clone', '--quiet', ROOT, clone])
  watch.lap('git clone')
  execFileSync('npm', ['ci', '--silent'], { cwd: clone, env, stdio: ['ignore', 'ignore', 'inherit'] })
  watch.lap('npm ci')
  await drawFirst(spawnServer('npm', ['start', '--silent'], clone, env), watch, 'npm start')
}

async function byNpx(ground: string): Promise<void> {
  const tarballs = await packAll(join(ground, 'tarballs'))
  const folder = join(ground, 'empty')
  mkdirSync(folder)
  const packages = tarballs.filter((path) => !path.includes('client')).map((path) => `--package=${path}`)
  const watch = new Stopwatch()
  const server = spawnServer('npx', ['--yes', ...packages, 'darkroom', 'serve'], folder, environmentIn(ground))
  await drawFirst(server, watch, 'npx … darkroom serve')
}

/** From the server's first line to a picture on the page. */
async function drawFirst(server: ChildProcess, watch: Stopwatch, command: string): Promise<void> {
  try {
    const url = await addressOf(server)
    watch.lap(`${command} names its address`)
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      watch.lap('Chromium is open')
      await page.goto(url)
      const draw = page.getByRole('button', { name: 'Draw', exact: true })
      await draw.click(DRAWN)
      watch.lap('the page is there, Draw is pressed')
      await page.getByAltText('What was drawn').waitFor(DRAWN)
      watch.lap('the first picture')
    } finally {
      await browser.close()
    }
  } finally {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGTERM')
    await ended
  }
}

/** A home and caches that are empty, and a free port. */
function environmentIn(ground: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    npm_config_cache: join(ground, 'npm-cache'),
    DARKROOM_DATA: join(ground, 'data'),
    DARKROOM_PORT: '0',
    HF_HUB_CACHE: join(ground, 'none'),
  }
}

function spawnServer(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
}

const named = process.argv.slice(2)
for (const name of named.length > 0 ? named : Object.keys(WAYS)) {
  const way = WAYS[name]
  if (way === undefined) throw new Error(`no way ${name}; expected one of ${Object.keys(WAYS).join(', ')}`)
  const ground = mkdtempSync(join(tmpdir(), 'darkroom-first-'))
  console.log(`\n${name}, Node ${process.version}`)
  try {
    await way(ground)
  } finally {
    rmSync(ground, { recursive: true, force: true })
  }
}
