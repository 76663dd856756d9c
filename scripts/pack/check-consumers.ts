/**
 * Uses the packages as projects of other kinds do: `npm run pack:consumers [name …]`, all of them without a name. Each is a project of its own
 * outside this clone, with the tarballs and whatever the registry has of its tools; the server runs from the tarballs too.
 *
 *   node20, node22, node24   server and client on that Node
 *   bun, deno        client
 *   vite, next       client in a page, and in Next.js on the server as well: built, served, and opened in Chromium
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CHROMIUM, launchBrowser } from '../../packages/server/test/browser/chromium.ts'
import { freePort } from '../../packages/server/test/fakes/free-port.ts'
import { CONSUMER, serveInstalled } from './installed-server.ts'
import { packAll } from './pack.ts'

/** What a consumer is given. */
interface Ground {
  /** An empty folder. */
  readonly folder: string
  readonly tarballs: readonly string[]
  /** Of a server that draws. */
  readonly url: string
}

type Consumer = (ground: Ground) => Promise<void>

const CONSUMERS: Readonly<Record<string, Consumer>> = {
  node20: (ground) => onNode(20, ground),
  node22: (ground) => onNode(22, ground),
  node24: (ground) => onNode(24, ground),
  bun: (ground) => inRuntime('bun', ['run', 'use.js'], ground),
  deno: (ground) => inRuntime('deno', ['run', '--allow-all', 'use.js'], ground),
  vite: inVite,
  next: inNext,
}

const DRAW = `const fal = createDarkroomClient({ url: DARKROOM_URL })
const { data } = await fal.subscribe('fal-ai/fast-lcm-diffusion', {
  input: { prompt: 'a king', image_size: { width: 128, height: 128 }, num_inference_steps: 1, sync_mode: false },
})`

/** Server and client of the packages on a Node from the registry. */
async function onNode(major: number, { folder, tarballs }: Ground): Promise<void> {
  const binaries = `node-${process.platform}-${process.arch}`
  install(folder, [...tarballs, `${binaries}@${major}`])
  const node = join(folder, 'node_modules', binaries, 'bin', 'node')
  writeFileSync(join(folder, 'use.js'), CONSUMER)
  const server = await serveInstalled(folder, node)
  try {
    run(node, ['use.js'], folder, { DARKROOM_URL: server.url })
  } finally {
    await server.stop()
  }
}

/** The client in a runtime that the registry has: a package of its name, and one with the binary for each platform. */
async function inRuntime(name: string, args: readonly string[], { folder, tarballs, url }: Ground): Promise<void> {
  install(folder, [clientOf(tarballs), name])
  writeFileSync(join(folder, 'use.js'), CONSUMER)
  const modules = join(folder, 'node_modules')
  const binary = readdirSync(modules, { recursive: true })
    .map(String)
    .find((path) => new RegExp(`^@\\w+/[\\w-]*${process.platform}[\\w-]*/(bin/)?${name}$`).test(path))
  if (binary === undefined) throw new Error(`${name} has no binary for ${process.platform}`)
  run(join(modules, binary), args, folder, { DARKROOM_URL: url })
}

async function inVite({ folder, tarballs, url }: Ground): Promise<void> {
  install(folder, [clientOf(tarballs), 'vite'])
  const page = `import { createDarkroomClient } from '@darkroom/client'
${DRAW.replace('DARKROOM_URL', JSON.stringify(url))}
document.title = 'drawn ' + data.images[0].width`
  write(folder, { 'index.html': '<!doctype html><script type="module" src="/main.js"></script>', 'main.js': page })
  const vite = join(folder, 'node_modules', 'vite', 'bin', 'vite.js')
  run(process.execPath, [vite, 'build', '--logLevel', 'error', '--target', 'es2022'], folder)
  const port = await freePort()
  await withProcess([vite, 'preview', '--strictPort', '--port', String(port), '--host', '127.0.0.1'], folder, () =>
    titleBecomes(`http://127.0.0.1:${port}`, 'drawn 128'),
  )
}

async function inNext({ folder, tarballs, url }: Ground): Promise<void> {
  install(folder, [clientOf(tarballs), 'next', 'react', 'react-dom'])
  const draw = DRAW.replace('DARKROOM_URL', JSON.stringify(url))
  write(folder, {
    'app/layout.jsx':
      'export default function Layout({ children }) { return <html lang="en"><body>{children}</body></html> }',
    'app/server/page.jsx': `import { createDarkroomClient } from '@darkroom/client'
export const dynamic = 'force-dynamic'
export default async function Page() {
  ${draw}
  return <p>{'drawn ' + data.images[0].width}</p>
}`,
    'app/page.jsx': `'use client'
import { createDarkroomClient } from '@darkroom/client'
import { useEffect } from 'react'
async function show() {
  ${draw}
  document.title = 'drawn ' + data.images[0].width
}
export default function Page() {
  useEffect(() => void show(), [])
  return <p>drawing</p>
}`,
  })
  const next = join(folder, 'node_modules', 'next', 'dist', 'bin', 'next')
  run(process.execPath, [next, 'build'], folder, { NEXT_TELEMETRY_DISABLED: '1' })
  const port = await freePort()
  const at = `http://127.0.0.1:${port}`
  await withProcess([next, 'start', '--port', String(port), '--hostname', '127.0.0.1'], folder, async () => {
    await titleBecomes(at, 'drawn 128')
    const html = await (await fetch(`${at}/server`, { signal: AbortSignal.timeout(60_000) })).text()
    if (!html.includes('drawn 128')) throw new Error(`the server component drew nothing: ${html.slice(0, 500)}`)
  })
}

function clientOf(tarballs: readonly string[]): string {
  const found = tarballs.find((path) => path.includes('darkroom-client'))
  if (found === undefined) throw new Error('there is no tarball of the client')
  return found
}

function install(folder: string, packages: readonly string[]): void {
  write(folder, { 'package.json': '{"name": "newcomer", "private": true, "type": "module"}' })
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...packages], folder)
}

function run(command: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } })
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

/** Runs a program of Node's while `work` lasts. */
async function withProcess(args: readonly string[], cwd: string, work: () => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    await work()
  } finally {
    child.kill('SIGTERM')
    await new Promise((resolve) => child.once('exit', resolve))
  }
}

/** Opens a page once it is there, and waits for what its script makes of its title. */
async function titleBecomes(url: string, title: string): Promise<void> {
  if (CHROMIUM === undefined) throw new Error('a page needs a Chromium: set DARKROOM_TEST_CHROMIUM')
  while (
    !(await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await sleep(200)
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage()
    page.on('pageerror', (error) => console.error(error))
    await page.goto(url)
    await page.waitForFunction(`document.title === ${JSON.stringify(title)}`)
  } finally {
    await browser.close()
  }
}

async function checkConsumers(names: readonly string[]): Promise<void> {
  const ground = mkdtempSync(join(tmpdir(), 'darkroom-consumers-'))
  try {
    const tarballs = await packAll(join(ground, 'tarballs'))
    const home = join(ground, 'server')
    install(home, tarballs)
    const server = await serveInstalled(home)
    try {
      for (const name of names) {
        const consumer = CONSUMERS[name]
        if (consumer === undefined) throw new Error(`no ${name}; expected one of ${Object.keys(CONSUMERS).join(', ')}`)
        const folder = join(ground, name)
        mkdirSync(folder)
        await consumer({ folder, tarballs, url: server.url })
        console.log(`the packages work with ${name}`)
        rmSync(folder, { recursive: true, force: true })
      }
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(ground, { recursive: true, force: true })
  }
}

const named = process.argv.slice(2)
await checkConsumers(named.length > 0 ? named : Object.keys(CONSUMERS))
