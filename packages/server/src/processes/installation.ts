import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** A clone runs its sources as they are; an installed package runs what they were compiled to. */
export const IS_CLONE = import.meta.url.endsWith('.ts')

/** Root of the clone, or of the installed package. */
const ROOT = fileURLToPath(new URL(IS_CLONE ? '../../../..' : '../..', import.meta.url))

/** A folder or file that comes with Darkroom, `models` or `playground`: in both it lies at the root. */
export function bundled(name: string): string {
  return `${ROOT.replace(/[\\/]+$/, '')}/${name}`
}

/** A module of this package beside the sources' root, `runner-main`, as a process can run it. */
export function entryModule(name: string): URL {
  return new URL(`../${name}.${IS_CLONE ? 'ts' : 'js'}`, import.meta.url)
}

/** Options of Node for a process that runs such a module: TypeScript is run through tsx, which an installed package neither needs nor has. */
export function nodeOptionsOf(entry: URL): readonly string[] {
  if (!entry.pathname.endsWith('.ts')) return []
  return ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
}
