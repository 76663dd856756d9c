import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** What the bundle is made of, besides the clone's lock file. */
const SOURCES = [
  'playground/src',
  'playground/public',
  'playground/index.html',
  'playground/vite.config.ts',
  'packages/client/src',
  'docs',
]

/**
 * Builds the playground of a clone where it was not built from the sources as they are now. Several processes may do so at once:
 * each builds into a folder of its own, and the first to finish wins.
 * @param clone root of the clone
 * @returns the folder of the bundle
 * @throws when the build fails, or vite is not installed (`npm ci --omit=dev`)
 */
export async function buildPlayground(clone: string): Promise<string> {
  const dist = join(clone, 'playground', 'dist')
  const name = await hashOf(clone)
  const folder = join(dist, name)
  if (await exists(join(folder, 'index.html'))) return folder
  await mkdir(dist, { recursive: true })
  const temporary = join(dist, `${name}.${process.pid}.tmp`)
  const vite = createRequire(join(clone, 'playground', 'package.json')).resolve('vite/package.json')
  const cli = join(dirname(vite), 'bin', 'vite.js')
  try {
    await promisify(execFile)(process.execPath, [cli, 'build', '--outDir', temporary, '--logLevel', 'error'], {
      cwd: join(clone, 'playground'),
    })
    await rename(temporary, folder).catch(async (error) => {
      if (!(await exists(join(folder, 'index.html')))) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  await removeOlder(dist, name)
  return folder
}

/** A name for the sources' content, so that no bundle is ever older than what it was made of. */
async function hashOf(clone: string): Promise<string> {
  const hash = createHash('sha256')
  for (const source of SOURCES) {
    for (const file of await filesOf(join(clone, source))) {
      hash.update(file.slice(clone.length)).update('\0')
      hash.update(await readFile(file)).update('\0')
    }
  }
  hash.update(await readFile(join(clone, 'package-lock.json')))
  return hash.digest('hex').slice(0, 16)
}

async function filesOf(path: string): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

/** Bundles of earlier sources; one that another process is building right now stays. */
async function removeOlder(dist: string, current: string): Promise<void> {
  for (const name of await readdir(dist)) {
    if (name !== current && !name.endsWith('.tmp')) await rm(join(dist, name), { recursive: true, force: true })
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
