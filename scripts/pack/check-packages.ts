/**
 * Packs, installs the tarballs into an empty project outside this clone, and uses them there as a newcomer would: the server by its
 * command, the client from JavaScript, the types from TypeScript.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CONSUMER, serveInstalled } from './installed-server.ts'
import { packAll } from './pack.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const TYPED = `import { createDarkroomClient, type DarkroomClientConfig } from '@darkroom/client'
import { encodeImage, type RgbImage } from '@darkroom/engine'

const config: DarkroomClientConfig = { url: 'http://localhost:3010' }
const image: RgbImage = { width: 1, height: 1, data: new Uint8Array(3) }
export const used: [ReturnType<typeof createDarkroomClient>, Promise<Uint8Array>] = [createDarkroomClient(config), encodeImage(image, 'png')]
// @ts-expect-error a url is wanted
createDarkroomClient({})
`

async function check(): Promise<void> {
  const project = mkdtempSync(join(tmpdir(), 'darkroom-packages-'))
  const run = (command: string, args: readonly string[], env: Record<string, string> = {}) =>
    execFileSync(command, args, {
      cwd: project,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    })
  try {
    const tarballs = await packAll(join(project, 'tarballs'))
    writeFileSync(join(project, 'package.json'), '{"name": "newcomer", "private": true, "type": "module"}')
    run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs])
    refuseStrayFiles(join(project, 'node_modules', '@darkroom'))
    checkTypes(project, run)
    writeFileSync(join(project, 'use.js'), CONSUMER)
    const { url, stop } = await serveInstalled(project)
    try {
      const page = await fetch(url)
      if (!(await page.text()).includes('<base href="./" />')) throw new Error(`GET / answered ${page.status}, no page`)
      run(process.execPath, ['use.js'], { DARKROOM_URL: url })
    } finally {
      await stop()
    }
    console.log(`the packages work with Node ${process.version}`)
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

/** Sources and tests stay here; the demo checkpoints, the playground and the types go along. */
function refuseStrayFiles(packages: string): void {
  const files = readdirSync(packages, { recursive: true }).map(String)
  const stray = files.filter((file) => /(\.test\.|(^|[\\/])test[\\/]|golden)/.test(file) || /(?<!\.d)\.ts$/.test(file))
  if (stray.length > 0) throw new Error(`files that belong to the clone: ${stray.join(', ')}`)
  const wanted = [
    'server/models/pinhole-512/model_index.json',
    'server/models/pinhole-1024-vae/config.json',
    'server/playground/index.html',
    'engine/dist/index.d.ts',
    'engine/dist/index.js.map',
  ]
  const missing = wanted.filter((file) => !existsSync(join(packages, file)))
  if (missing.length > 0) throw new Error(`not in the packages: ${missing.join(', ')}`)
}

function checkTypes(project: string, run: (command: string, args: readonly string[]) => void): void {
  writeFileSync(join(project, 'typed.ts'), TYPED)
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const types = [
    '--types',
    'node',
    '--typeRoots',
    join(ROOT, 'node_modules', '@types'),
    '--skipLibCheck',
    '--noEmit',
    '--strict',
  ]
  for (const resolution of ['nodenext', 'bundler']) {
    const module = resolution === 'nodenext' ? 'nodenext' : 'esnext'
    run(process.execPath, [
      tsc,
      ...types,
      '--target',
      'es2023',
      '--module',
      module,
      '--moduleResolution',
      resolution,
      'typed.ts',
    ])
  }
}

await check()
