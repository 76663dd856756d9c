/**
 * Makes the packages that are published: compiled, with types and source maps, without tests. Into `dist/`:
 * a folder for each package, and the tarball that `npm pack` makes of it.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bundled } from '../../packages/server/src/processes/installation.ts'
import { buildPlayground } from '../../packages/server/src/processes/playground/playground-build.ts'
import { type Manifest, publishedManifest } from './manifest.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** In the order in which they import each other. */
const PACKAGES = ['client', 'engine', 'server'] as const
type PackageName = (typeof PACKAGES)[number]

/** Modules that are JavaScript already, entries of worker threads; those that register tsx are for sources alone. */
const PLAIN_MODULES: Readonly<Record<PackageName, readonly string[]>> = {
  client: [],
  engine: [],
  server: ['db/wal-checkpoint-worker.mjs', 'models/hash-worker.mjs'],
}

/** @returns the paths of the tarballs */
export async function packAll(out: string): Promise<readonly string[]> {
  rmSync(out, { recursive: true, force: true })
  const tarballs: string[] = []
  for (const name of PACKAGES) {
    const folder = join(out, name)
    compile(name, folder, out)
    const manifest = JSON.parse(readFileSync(join(ROOT, 'packages', name, 'package.json'), 'utf8')) as Manifest
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify(publishedManifest(manifest), null, 2)}\n`)
    cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
    cpSync(join(ROOT, 'packages', name, 'README.md'), join(folder, 'README.md'))
    if (name === 'server') await addServerFiles(folder)
    const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', out], { cwd: folder, encoding: 'utf8' })
    tarballs.push(join(out, fileNameOf(JSON.parse(packed))))
  }
  return tarballs
}

/** npm answers with a list, newer versions with an object by the package's name. */
function fileNameOf(packed: Readonly<Record<string, { readonly filename: string }>>): string {
  const [first] = Object.values(packed)
  if (first === undefined) throw new Error('npm pack made no tarball')
  return first.filename.replace('@', '').replace('/', '-')
}

function compile(name: PackageName, folder: string, out: string): void {
  const sources = join(ROOT, 'packages', name, 'src')
  mkdirSync(folder, { recursive: true })
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      typeRoots: [join(ROOT, 'node_modules', '@types')],
      rootDir: sources,
      outDir: join(folder, 'dist'),
      declaration: true,
      sourceMap: true,
      inlineSources: true,
      rewriteRelativeImportExtensions: true,
      // The other packages as they will be installed, and not their sources.
      paths: Object.fromEntries(PACKAGES.map((other) => [`@darkroom/${other}`, [join(out, other, 'dist/index.d.ts')]])),
    },
    include: [sources],
    exclude: [join(sources, '**/*.test.ts')],
  }
  const path = join(out, `tsconfig.${name}.json`)
  writeFileSync(path, JSON.stringify(config))
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  execFileSync(process.execPath, [tsc, '-p', path], { stdio: 'inherit', cwd: ROOT })
  rmSync(path)
  for (const module of PLAIN_MODULES[name]) cpSync(join(sources, module), join(folder, 'dist', module))
}

async function addServerFiles(folder: string): Promise<void> {
  mkdirSync(join(folder, 'bin'))
  writeFileSync(
    join(folder, 'bin', 'darkroom.js'),
    "#!/usr/bin/env node\nimport { main } from '../dist/cli.js'\n\nawait main(process.argv)\n",
    { mode: 0o755 },
  )
  cpSync(bundled('models'), join(folder, 'models'), { recursive: true })
  cpSync(await buildPlayground(dirname(bundled('models'))), join(folder, 'playground'), { recursive: true })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const tarball of await packAll(join(ROOT, 'dist'))) console.log(tarball)
}
