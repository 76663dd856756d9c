import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { withFileLock } from './file-lock.ts'
import { listFolder, readJsonFile } from './folder-listing.ts'
import type { HubCache } from './hub-cache.ts'
import type { HubModels } from './hub-models.ts'
import { chooseModel, likelyKind } from './model-choice.ts'
import { ModelError } from './model-error.ts'
import { movedTo } from './reference.ts'
import type { UrlDownloads } from './url-downloads.ts'
import { hubKey, type UsageLedger, type UsageRecord, urlKey } from './usage-ledger.ts'
import { type ModelFamily, WeightsInspector } from './weights-content.ts'
import type { WeightsKind } from './weights-kind.ts'
import { filesIn, type ListedFile, nameOf } from './weights-selection.ts'

export type ModelSource = 'models folder' | 'hub cache' | 'downloads'

/** A model that is on this machine. */
export interface InventoryItem {
  /** By which requests can name it. */
  readonly name: string
  readonly source: ModelSource
  /** Bytes on the disk, of all its revisions. */
  readonly bytes: number
  /** Absent for what is none of the kinds that are drawn with: language models, data. */
  readonly kind?: WeightsKind
  readonly family?: ModelFamily
  /** ISO 8601; absent when this server has not used it. */
  readonly lastUsedAt?: string
  /** False when a part is missing: it cannot be used as it is. */
  readonly isWhole: boolean
  /** Whether it may be removed to make room: a request had it fetched. */
  readonly isEvictable: boolean
}

/** An item, with what is in it. */
export interface ModelDescription extends InventoryItem {
  readonly folder: string
  readonly files: readonly ListedFile[]
  readonly license?: string
}

export interface InventoryOptions {
  readonly modelFolders: readonly string[]
  readonly cache: HubCache
  readonly hub: HubModels
  readonly urls: UrlDownloads
  readonly usage: UsageLedger
}

/** Which class stands for which kind, in `config.json`. */
const CLASSES: Readonly<Record<string, WeightsKind>> = {
  ControlNetModel: 'controlnet',
  UNet2DConditionModel: 'unet',
  AutoencoderKL: 'vae',
  CLIPVisionModelWithProjection: 'image-encoder',
  StableDiffusionSafetyChecker: 'safety-checker',
  ViTForImageClassification: 'safety-checker',
}
const LOCK_WAIT_MILLISECONDS = 200
const SETTLED_MILLISECONDS = 3600_000

/** What is on this machine, and taking it away again. */
export class Inventory {
  readonly #options: InventoryOptions
  readonly #inspector = new WeightsInspector()

  constructor(options: InventoryOptions) {
    this.#options = options
  }

  /** Everything that is here, by name. */
  async list(): Promise<InventoryItem[]> {
    const described = await this.#describeAll()
    return described
      .map(({ folder: _, files: __, license: ___, ...item }) => item)
      .sort((a, b) => a.name.localeCompare(b.name))
  }

  /** @throws ModelError `not-found` */
  async describe(name: string): Promise<ModelDescription> {
    const found = (await this.#describeAll()).find((item) => item.name === name || item.name === movedTo(name))
    if (found === undefined)
      throw new ModelError('not-found', `There is no ${name} on this machine; darkroom list shows what there is.`)
    return found
  }

  /**
   * Removes what was fetched under a name, with all its revisions.
   * @returns bytes that are free again
   * @throws ModelError `not-found`; `forbidden` for what somebody put into a models folder by hand
   */
  async remove(name: string): Promise<number> {
    const { name: own, source, bytes, folder } = await this.describe(name)
    const { cache, usage, urls } = this.#options
    if (source === 'models folder') {
      throw new ModelError('forbidden', `${name} was put into the models folder by hand, and is removed by hand.`)
    }
    if (source === 'hub cache') {
      await cache.remove(own)
      await usage.forget(hubKey(own))
    } else {
      await rm(folder, { recursive: true, force: true })
      await usage.forget(urlKey(folder.slice(urls.folder.length + 1)))
    }
    return bytes
  }

  /**
   * Removes what is good for nothing: unfinished downloads that nobody is working on, and blobs that no snapshot leads to.
   * @returns bytes that are free again
   */
  async collectGarbage(): Promise<number> {
    const { cache, urls } = this.#options
    let freed = 0
    for (const repository of await cache.repositories()) freed += await this.#collectBlobs(repository)
    for (const key of await readdir(urls.folder).catch((): string[] => [])) {
      const partial = join(urls.folder, key, 'partial.incomplete')
      freed += await removeUnlocked(join(urls.folder, key, 'lock'), [partial, `${partial}.journal`])
    }
    return freed
  }

  async #collectBlobs(repository: string): Promise<number> {
    const { cache } = this.#options
    const folder = join(cache.repositoryFolder(repository), 'blobs')
    const linked = await cache.linkedBlobs(repository)
    let freed = 0
    for (const name of await readdir(folder).catch((): string[] => [])) {
      if (linked.has(name)) continue
      // A blob is linked a moment after it has its name.
      const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
      if (!name.includes('.incomplete') && Date.now() - mtimeMs < SETTLED_MILLISECONDS) continue
      const etag = name.split('.')[0] ?? name
      freed += await removeUnlocked(cache.lockPath(repository, etag), [join(folder, name)])
    }
    return freed
  }

  async #describeAll(): Promise<ModelDescription[]> {
    const records = new Map((await this.#options.usage.records()).map((record) => [record.key, record]))
    const all = await Promise.all([this.#inFolders(), this.#inCache(records), this.#inDownloads(records)])
    return all.flat()
  }

  /** `owner/name` folders, and files by themselves. */
  async #inFolders(): Promise<ModelDescription[]> {
    const found: ModelDescription[] = []
    for (const root of this.#options.modelFolders) {
      const files = await listFolder(root)
      const names = new Set(
        files.map(({ path }) => (path.includes('/') ? path.split('/').slice(0, -1).slice(0, 2).join('/') : path)),
      )
      for (const name of names) {
        const isFile = files.some(({ path }) => path === name)
        const own = isFile
          ? files.filter(({ path }) => path === name)
          : files
              .filter(({ path }) => path.startsWith(`${name}/`))
              .map((file) => ({ ...file, path: file.path.slice(name.length + 1) }))
        const folder = isFile ? root : join(root, name)
        found.push({
          name,
          source: 'models folder',
          isWhole: await isWholeFolder(folder, own, name),
          isEvictable: false,
          folder,
          ...(await this.#contents(folder, own)),
        })
      }
    }
    return found
  }

  async #inCache(records: ReadonlyMap<string, UsageRecord>): Promise<ModelDescription[]> {
    const { cache, hub } = this.#options
    const described = (await cache.repositories()).map(async (name): Promise<ModelDescription[]> => {
      const snapshot = await cache.snapshot(name)
      if (snapshot === undefined) return []
      const { folder, commit } = snapshot
      const files = await listFolder(folder)
      // Links whose blobs were removed to make room.
      if (files.length === 0) return []
      const contents = await this.#contents(folder, files)
      const license = (await hub.listing(name, commit))?.license
      const bytes = await cache.blobBytes(name)
      const isWhole = await this.#isWhole(name, likelyKind(contents.files))
      return [
        {
          name,
          source: 'hub cache',
          isWhole,
          folder,
          ...contents,
          bytes,
          ...usageOf(records.get(hubKey(name))),
          ...(license !== undefined && { license }),
        },
      ]
    })
    return (await Promise.all(described)).flat()
  }

  async #isWhole(repository: string, kind: WeightsKind): Promise<boolean> {
    try {
      return (await this.#options.hub.findLocal({ type: 'hub', repository }, { kind }, repository)) !== undefined
    } catch (error) {
      // Several files, of which each is one by itself.
      if (error instanceof ModelError && error.reason === 'ambiguous') return true
      throw error
    }
  }

  async #inDownloads(records: ReadonlyMap<string, UsageRecord>): Promise<ModelDescription[]> {
    const described = (await this.#options.urls.all()).map(
      async ({ key, path, size, label }): Promise<ModelDescription> => {
        const folder = join(this.#options.urls.folder, key)
        const contents = await this.#contents(folder, [{ path: nameOf(path), size }])
        return {
          name: label,
          source: 'downloads',
          isWhole: true,
          folder,
          ...contents,
          ...usageOf(records.get(urlKey(key))),
        }
      },
    )
    return Promise.all(described)
  }

  async #contents(
    folder: string,
    files: readonly ListedFile[],
  ): Promise<Pick<ModelDescription, 'bytes' | 'files' | 'kind' | 'family'>> {
    const bytes = files.reduce((sum, { size }) => sum + size, 0)
    return { bytes, files, ...(await this.#kindOf(folder, files)) }
  }

  async #kindOf(folder: string, files: readonly ListedFile[]): Promise<{ kind?: WeightsKind; family?: ModelFamily }> {
    const kind = likelyKind(files)
    if (kind === 'base') {
      const family = familyOf(await readJsonFile(join(folder, 'unet', 'config.json')))
      return { kind, ...(family !== undefined && { family }) }
    }
    if (kind === 'unet') {
      const config = await readJsonFile(join(folder, 'config.json'))
      const names = [config._class_name, ...(Array.isArray(config.architectures) ? config.architectures : [])]
      const known = names.map((name) => CLASSES[String(name)]).find((each) => each !== undefined)
      const family = familyOf(config)
      return { ...(known !== undefined && { kind: known }), ...(family !== undefined && { family }) }
    }
    const file =
      files.find(({ path }) => /\.(safetensors|bin|pt|pth|ckpt)$|^weights$/.test(path)) ?? filesIn(files, '')[0]
    if (file === undefined) return {}
    const content = await this.#inspector.inspect(join(folder, file.path)).catch(() => undefined)
    if (content === undefined || 'foreign' in content) return {}
    return { ...(content.kind && { kind: content.kind }), ...(content.family && { family: content.family }) }
  }
}

/** Whether a folder that says that it is a model has all of it. */
async function isWholeFolder(folder: string, files: readonly ListedFile[], name: string): Promise<boolean> {
  const kind = likelyKind(files)
  if (kind !== 'base') return true
  const choice = await chooseModel(files, { kind }, name, (path) => readJsonFile(join(folder, path)))
  return choice.missing.length === 0
}

function usageOf(record: UsageRecord | undefined): Pick<InventoryItem, 'isEvictable' | 'lastUsedAt'> {
  if (record === undefined) return { isEvictable: false }
  return { isEvictable: record.fetched.length > 0, lastUsedAt: record.lastUsedAt }
}

function familyOf({ cross_attention_dim: width }: Readonly<Record<string, unknown>>): ModelFamily | undefined {
  return width === 768 ? 'sd15' : width === 1024 ? 'sd2' : width === 2048 ? 'sdxl' : undefined
}

/** Removes files unless somebody holds their lock, who is writing them. */
async function removeUnlocked(lock: string, paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => undefined,
      ),
    ),
  )
  if (sizes.every((size) => size === undefined)) return 0
  const removing = withFileLock(lock, AbortSignal.timeout(LOCK_WAIT_MILLISECONDS), async () => {
    for (const path of paths) await rm(path, { force: true })
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  })
  return removing.catch(() => 0)
}
