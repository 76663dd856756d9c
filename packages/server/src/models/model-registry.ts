import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface ModelRegistryOptions {
  /** Folders with models as `owner/name/`, in diffusers layout. */
  readonly modelFolders: readonly string[]
  /** Hub caches: `models--owner--name/snapshots/<commit>/`. */
  readonly hubCaches: readonly string[]
  /** Folder of the bundled demo checkpoints. */
  readonly bundledFolder: string
}

/** Names that mean the same model: the first was taken down, the second is where it lives on. */
const MOVED: Readonly<Record<string, string>> = {
  'runwayml/stable-diffusion-v1-5': 'stable-diffusion-v1-5/stable-diffusion-v1-5',
}

/** Resolves model names to folders of this machine. It looks each time, so a model added later is found. */
export class ModelRegistry {
  readonly #options: ModelRegistryOptions

  constructor(options: ModelRegistryOptions) {
    this.#options = options
  }

  /** The folder of a model (`owner/name`), or undefined when it is not on this machine. */
  async find(name: string): Promise<string | undefined> {
    for (const candidate of MOVED[name] === undefined ? [name] : [name, MOVED[name]]) {
      const folder = (await this.#findInFolders(candidate)) ?? (await this.#findInHubCaches(candidate))
      if (folder !== undefined) return folder
    }
    return undefined
  }

  /** The folder of a model that comes with the repository, by its folder's name. */
  bundled(name: string): string {
    return join(this.#options.bundledFolder, name)
  }

  async #findInFolders(name: string): Promise<string | undefined> {
    for (const root of this.#options.modelFolders) {
      const folder = join(root, ...name.split('/'))
      if (await isFolder(folder)) return folder
    }
    return undefined
  }

  async #findInHubCaches(name: string): Promise<string | undefined> {
    for (const cache of this.#options.hubCaches) {
      const repository = join(cache, `models--${name.replaceAll('/', '--')}`)
      const commit = (await readText(join(repository, 'refs', 'main'))) ?? (await newestSnapshot(repository))
      if (commit === undefined) continue
      const folder = join(repository, 'snapshots', commit.trim())
      if (await isFolder(folder)) return folder
    }
    return undefined
  }
}

async function newestSnapshot(repository: string): Promise<string | undefined> {
  const snapshots = join(repository, 'snapshots')
  const names = await readdir(snapshots).catch(() => [])
  const dated = await Promise.all(
    names.map(async (name) => ({ name, changed: (await stat(join(snapshots, name))).mtimeMs })),
  )
  return dated.sort((a, b) => b.changed - a.changed)[0]?.name
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  )
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
