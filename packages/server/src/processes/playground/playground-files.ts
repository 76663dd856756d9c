import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { PlaygroundBundle } from '../../gateway/playground-bundle.ts'
import type { ProcessLog } from '../../log/process-log.ts'
import { bundled, IS_CLONE } from '../installation.ts'
import { buildPlayground } from './playground-build.ts'

let loading: Promise<PlaygroundBundle> | undefined

/**
 * The playground's files, read once. A clone builds them where they are older than their sources, which takes seconds: `serve`
 * begins with it while the runners start.
 * @throws when the clone cannot build them
 */
export function loadPlayground(): Promise<PlaygroundBundle> {
  loading ??= findBundle().then(readBundle)
  return loading
}

/** Begins to load, so that the first page need not wait for it. */
export function preparePlayground(log: ProcessLog): void {
  loadPlayground().catch((err) => log.warn({ err }, 'the playground could not be built; the API works without it'))
}

/** A package carries its bundle; a clone makes it. */
async function findBundle(): Promise<string> {
  return IS_CLONE ? buildPlayground(bundled('')) : bundled('playground')
}

async function readBundle(folder: string): Promise<PlaygroundBundle> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        return [relative(folder, path).split(sep).join('/'), new Uint8Array(await readFile(path))] as const
      }),
  )
  return new Map(files)
}
