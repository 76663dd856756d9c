import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isFile } from './folder-listing.ts'
import type { HubCache } from './hub-cache.ts'
import { isBaseKind, type WeightsKind } from './weights-kind.ts'

/** Most names that a sentence lists. */
const MOST_NAMED = 6
const WEIGHT_FILE = /\.(safetensors|ckpt|bin|pt|pth)$/

/** How long names are taken for right: every request that is drawn with a stand-in asks. */
const FRESH_MILLISECONDS = 5000

interface Names {
  /** Folders of whole pipelines, and single files, which may be such. */
  readonly base: readonly string[]
  readonly others: readonly string[]
}

/** What of the models on this machine somebody may have meant who named one that is not here. */
export class NamesHere {
  readonly #modelFolders: readonly string[]
  readonly #cache: HubCache
  #names: { readonly at: number; readonly names: Promise<Names> } | undefined

  constructor(modelFolders: readonly string[], cache: HubCache) {
    this.#modelFolders = modelFolders
    this.#cache = cache
  }

  /** The end of a sentence: `; here are: a, b and 3 more`. Empty where there is nothing. */
  async alternatives(kind: WeightsKind): Promise<string> {
    const now = performance.now()
    if (this.#names === undefined || now - this.#names.at > FRESH_MILLISECONDS) {
      this.#names = { at: now, names: namesIn(this.#modelFolders, this.#cache) }
    }
    const { base, others } = await this.#names.names
    const names = isBaseKind(kind) ? base : others
    const rest = names.length - MOST_NAMED
    const more = rest > 0 ? ` and ${rest} more` : ''
    return names.length === 0 ? '' : `; here are: ${names.slice(0, MOST_NAMED).join(', ')}${more}`
  }
}

/** Looks at names alone, two folders deep: nothing is opened. */
async function namesIn(modelFolders: readonly string[], cache: HubCache): Promise<Names> {
  const folders: { readonly name: string; readonly folder: string }[] = []
  const files: string[] = []
  for (const root of modelFolders) {
    for (const { name, isFolder } of await entriesOf(root)) {
      if (!isFolder) {
        files.push(name)
        continue
      }
      const inside = await entriesOf(join(root, name))
      if (inside.some((entry) => CONFIG_FILES.includes(entry.name))) folders.push({ name, folder: join(root, name) })
      else {
        const below = inside.map((entry) => ({ ...entry, name: `${name}/${entry.name}` }))
        folders.push(
          ...below.filter((entry) => entry.isFolder).map((entry) => ({ ...entry, folder: join(root, entry.name) })),
        )
        files.push(...below.filter((entry) => !entry.isFolder).map((entry) => entry.name))
      }
    }
  }
  for (const repository of await cache.repositories()) {
    const snapshot = await cache.snapshot(repository)
    if (snapshot !== undefined) folders.push({ name: repository, folder: snapshot.folder })
  }
  const weights = files.filter((name) => WEIGHT_FILE.test(name))
  const isPipeline = await Promise.all(folders.map(({ folder }) => isFile(join(folder, 'model_index.json'))))
  const names = (pipelines: boolean) => folders.filter((_, i) => isPipeline[i] === pipelines).map(({ name }) => name)
  const sorted = (each: readonly string[]) => [...new Set(each)].sort()
  return { base: sorted([...names(true), ...weights]), others: sorted([...names(false), ...weights]) }
}

const CONFIG_FILES = ['model_index.json', 'config.json']

async function entriesOf(folder: string): Promise<{ readonly name: string; readonly isFolder: boolean }[]> {
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => !name.startsWith('.'))
  // Links are followed.
  const entries = names.map(async (name) => {
    const entry = await stat(join(folder, name)).catch(() => undefined)
    return { name, isFolder: entry?.isDirectory() ?? false }
  })
  return Promise.all(entries)
}
