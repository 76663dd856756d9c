import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HubCache } from './hub-cache.ts'
import { movedTo } from './reference.ts'

export interface ModelRegistryOptions {
  /** Folders with models as `owner/name/`. */
  readonly modelFolders: readonly string[]
  /** Hub caches: `models--owner--name/snapshots/<commit>/`. */
  readonly hubCaches: readonly string[]
  /** Folder of the bundled demo checkpoints. */
  readonly bundledFolder: string
}

/** Finds folders of models by name, whole or not: for what is used where it is here and never fetched. */
export class ModelRegistry {
  readonly #options: ModelRegistryOptions
  readonly #caches: readonly HubCache[]

  constructor(options: ModelRegistryOptions) {
    this.#options = options
    this.#caches = options.hubCaches.map((folder) => new HubCache(folder))
  }

  /** The folder of a model (`owner/name`), or undefined when it is not on this machine. It looks each time. */
  async find(name: string): Promise<string | undefined> {
    for (const candidate of new Set([name, movedTo(name)])) {
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
      const entry = await stat(folder).catch(() => undefined)
      if (entry?.isDirectory()) return folder
    }
    return undefined
  }

  async #findInHubCaches(name: string): Promise<string | undefined> {
    for (const cache of this.#caches) {
      const snapshot = await cache.snapshot(name)
      if (snapshot !== undefined) return snapshot.folder
    }
    return undefined
  }
}
