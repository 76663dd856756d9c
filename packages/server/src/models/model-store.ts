import { readdir, stat } from 'node:fs/promises'
import { isAbsolute, join, normalize, relative, resolve } from 'node:path'
import type { CivitaiClient } from './civitai-client.ts'
import { listFolder, readJsonFile } from './folder-listing.ts'
import type { HubCache } from './hub-cache.ts'
import type { HubClient } from './hub-client.ts'
import type { FileProgress, HubDownloads } from './hub-download.ts'
import { HubModels } from './hub-models.ts'
import { keepDataUri, keepOwnFile, type OwnFileOpener } from './keep-file.ts'
import { chooseModel, type ModelChoice, type ModelWish } from './model-choice.ts'
import { ModelError } from './model-error.ts'
import { NamesHere } from './names-here.ts'
import { ProgressLog } from './progress-log.ts'
import {
  type CivitaiReference,
  type HubReference,
  labelOf,
  type ModelReference,
  movedTo,
  parseReference,
  type UrlReference,
} from './reference.ts'
import { sizeText } from './size-text.ts'
import type { KeptFile, UrlDownloads } from './url-downloads.ts'
import { type FetchedFile, hubKey, type UsageLedger, urlKey } from './usage-ledger.ts'
import { type WeightsContent, WeightsInspector } from './weights-content.ts'
import { isBaseKind, KIND_NAMES, type WeightsKind } from './weights-kind.ts'

/** What is fetched for a request: adapters, base models too, or nothing. */
export type DownloadPolicy = 'adapters' | 'all' | 'never'

export interface ModelStoreOptions {
  readonly cache: HubCache
  readonly client: HubClient
  readonly downloads: HubDownloads
  readonly urls: UrlDownloads
  readonly civitai: CivitaiClient
  readonly hubEndpoint: string
  readonly isOffline: boolean
  /** Folders with models as `owner/name/` or by any other path. The first is the one named in messages. */
  readonly modelFolders: readonly string[]
  /** Folder of the demo models that come with the program: `pinhole/canny` is `pinhole-canny` in it. */
  readonly bundledFolder?: string
  /** Whether absolute paths outside of these are opened. */
  readonly allowsAbsolutePaths: boolean
  readonly policy: DownloadPolicy
  /** Largest download for one reference of a request, in bytes. */
  readonly maxDownloadBytes: number
  /** What requests had fetched is removed beyond this. */
  readonly budgetBytes: number
  readonly usage: UsageLedger
  /** Where what is known of repositories is kept. */
  readonly listingsFolder: string
}

export interface FindOptions extends Omit<ModelWish, 'path'> {
  readonly signal: AbortSignal
  readonly log: (message: string) => void
  /** Opens files that were uploaded to this server, for whoever asks. */
  readonly openOwnFile?: OwnFileOpener
}

/** What a reference resolves to. Labels are for logs and responses: they hold no path of this machine. */
export type FoundModel =
  | {
      /** A diffusers folder: `model_index.json` and a folder for each component. */
      readonly type: 'repository'
      readonly folder: string
      readonly label: string
      readonly revision?: string
      /** The precision variant to read, where the plain weights are not here. */
      readonly variant?: string
    }
  | {
      /** One model: `config.json` and its weights. */
      readonly type: 'component'
      readonly folder: string
      readonly label: string
      readonly revision?: string
      readonly variant?: string
    }
  | {
      /** One file of weights. */
      readonly type: 'file'
      readonly path: string
      readonly label: string
      readonly revision?: string
      readonly content: WeightsContent
    }

/** Owner of the demo models' ids. */
const DEMO_OWNER = 'pinhole/'

/** A folder lacks files that its model needs: it may lie whole in another place. */
class PartError extends ModelError {
  constructor(message: string) {
    super('not-found', message)
  }
}

/** @throws what is no `PartError` */
function asPart(error: unknown): PartError {
  if (error instanceof PartError) return error
  throw error
}

/** Finds the weights that people name, on this machine or, where that is allowed, on the network; fetches them once and whole. */
export class ModelStore {
  readonly #options: ModelStoreOptions
  readonly #inspector = new WeightsInspector()
  readonly #hub: HubModels
  readonly #names: NamesHere

  constructor(options: ModelStoreOptions) {
    this.#options = options
    this.#hub = new HubModels(options)
    this.#names = new NamesHere(options.modelFolders, options.cache)
  }

  /**
   * What a reference names: an id (`owner/name[@revision][/path]`), a hub, Civitai or other URL, a `data:` URI, or a path.
   * @throws ModelError with one sentence for the client; the signal's reason
   */
  async find(reference: string, options: FindOptions): Promise<FoundModel> {
    options.signal.throwIfAborted()
    const parsed = parseReference(reference, this.#options.hubEndpoint)
    const here = await this.#findHere(parsed, options)
    if (here !== undefined) return here
    switch (parsed.type) {
      case 'hub':
        return this.#fetchFromHub(parsed, options)
      case 'path':
        throw new ModelError(
          'not-found',
          `There is no ${parsed.path} in the models folder of this server${await this.#names.alternatives(options.kind)}.`,
        )
      default:
        return this.#fetchFile(parsed, reference, options)
    }
  }

  /**
   * What a reference names, as far as it is on this machine: nothing is fetched, and nobody is asked.
   * @returns undefined when it is not here, or not all of it
   * @throws ModelError when it is here and is something else
   */
  async findLocal(reference: string, options: Omit<FindOptions, 'signal' | 'log'>): Promise<FoundModel | undefined> {
    return this.#findHere(parseReference(reference, this.#options.hubEndpoint), options)
  }

  async #findHere(parsed: ModelReference, options: ModelWish): Promise<FoundModel | undefined> {
    const label = labelOf(parsed)
    switch (parsed.type) {
      case 'hub': {
        const path = parsed.path === undefined ? parsed.repository : `${parsed.repository}/${parsed.path}`
        const inFolder =
          parsed.revision === undefined ? await this.#findBelow(path, label, options).catch(asPart) : undefined
        if (inFolder !== undefined && !(inFolder instanceof PartError)) return inFolder
        const elsewhere =
          (await this.#findBundled(parsed, label, options)) ?? (await this.#findInCache(parsed, label, options))
        if (elsewhere === undefined && inFolder !== undefined) {
          throw new ModelError('not-found', `${inFolder.message} Its operator can type: darkroom pull ${label}`)
        }
        return elsewhere
      }
      case 'path':
        return isAbsolute(parsed.path) || parsed.path.startsWith('~')
          ? this.#findAbsolute(parsed.path, label, options)
          : this.#findBelow(parsed.path, label, options)
      default:
        return undefined
    }
  }

  async #findBelow(path: string, label: string, wish: ModelWish): Promise<FoundModel | undefined> {
    const below = normalize(path)
    if (below === '..' || below.startsWith('../') || below.startsWith('..\\')) throw forbidden(label)
    for (const root of this.#options.modelFolders) {
      const found = await this.#findAt(join(root, below), label, wish)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** A demo model; what Pinhole does not have is not looked for elsewhere. */
  async #findBundled(
    { repository, revision, path }: HubReference,
    label: string,
    wish: ModelWish,
  ): Promise<FoundModel | undefined> {
    const { bundledFolder } = this.#options
    if (bundledFolder === undefined || !repository.startsWith(DEMO_OWNER) || revision !== undefined) return undefined
    const folder = join(bundledFolder, repository.replace('/', '-'))
    const found = await this.#findAt(path === undefined ? folder : join(folder, path), label, wish)
    if (found !== undefined) return found
    const names = await readdir(bundledFolder).catch((): string[] => [])
    const ids = names.filter((name) => name.startsWith('pinhole-')).map((name) => name.replace('-', '/'))
    throw new ModelError('not-found', `There is no demo model ${label}; there are ${ids.sort().join(', ')}.`)
  }

  async #findAbsolute(path: string, label: string, wish: ModelWish): Promise<FoundModel | undefined> {
    const isInside = (root: string) => {
      const below = relative(root, resolve(path))
      return below !== '' && !below.startsWith('..') && !isAbsolute(below)
    }
    if (!this.#options.allowsAbsolutePaths && !this.#options.modelFolders.some(isInside)) throw forbidden(label)
    return this.#findAt(path, label, wish)
  }

  /** A file or folder of this disk. */
  async #findAt(path: string, label: string, wish: ModelWish): Promise<FoundModel | undefined> {
    const kind = await pathKind(path)
    if (kind === undefined) return undefined
    if (kind === 'file') return this.#file(path, label, wish.kind)
    const choice = await chooseModel(await listFolder(path), wish, label, (index) => readJsonFile(join(path, index)))
    if (choice.missing.length > 0) {
      const missing = choice.missing.slice(0, 3).join(', ')
      throw new PartError(`${label} is here only in part: ${missing} is missing.`)
    }
    return this.#found(choice, path, label.replace(/(?<![/\\])[/\\]+$/, ''), wish)
  }

  async #findInCache(reference: HubReference, label: string, wish: ModelWish): Promise<FoundModel | undefined> {
    const local = await this.#hub.findLocal(reference, wish, label)
    if (local === undefined) return undefined
    await this.#options.usage.touch(hubKey(local.repository), reference.repository)
    return this.#found(local.choice, local.folder, rootLabelOf(reference), wish, local.commit)
  }

  async #fetchFromHub(reference: HubReference, options: FindOptions): Promise<FoundModel> {
    const label = labelOf(reference)
    await this.#requireAllowed(label, options.kind, true)
    const progress = new ProgressLog(label, options.log)
    const fetched: FetchedFile[] = []
    const fetching = this.#hub.fetch(reference, options, label, {
      maxBytes: this.#options.maxDownloadBytes,
      signal: options.signal,
      onStart: async (bytes, files) => {
        await this.#makeRoom(label, bytes)
        progress.start(bytes, files)
      },
      onProgress: (done) => progress.update(done),
      onFetched: ({ blob, size }) => fetched.push({ path: blob, size }),
    })
    const { choice, folder, commit } = await fetching.finally(() =>
      this.#options.usage.addFetched(hubKey(movedTo(reference.repository)), reference.repository, fetched),
    )
    progress.end()
    return this.#found(choice, folder, rootLabelOf(reference), options, commit)
  }

  async #fetchFile(
    parsed: Exclude<ModelReference, { type: 'hub' | 'path' }>,
    reference: string,
    options: FindOptions,
  ): Promise<FoundModel> {
    const label = labelOf(parsed)
    const { urls, maxDownloadBytes: maxBytes } = this.#options
    const { signal, kind, openOwnFile } = options
    if (parsed.type === 'data') {
      return this.#kept(await keepDataUri(urls, parsed.uri, maxBytes, signal), label, kind)
    }
    const own = openOwnFile && (await keepOwnFile(urls, openOwnFile, reference, label, maxBytes, signal))
    return own === undefined ? this.#fetchUrl(parsed, label, options) : this.#kept(own, label, kind)
  }

  async #fetchUrl(
    parsed: CivitaiReference | UrlReference,
    label: string,
    { signal, kind, log }: FindOptions,
  ): Promise<FoundModel> {
    const { urls, civitai, maxDownloadBytes: maxBytes } = this.#options
    const isAllowed = this.#isAllowed(kind)
    const address =
      parsed.type === 'url' ? { url: parsed.url } : await civitai.address(parsed, label, signal, isAllowed)
    const known = isAllowed ? undefined : await urls.find(address.url)
    if (known !== undefined) return this.#kept(known, label, kind)
    await this.#requireAllowed(label, kind, false)
    const progress = new ProgressLog(label, log)
    const onProgress = ({ doneBytes, totalBytes }: FileProgress) => {
      progress.start(totalBytes, 1)
      progress.update(doneBytes)
    }
    const kept = await urls.fetch({ ...address, label, maxBytes, signal, onProgress })
    progress.end()
    try {
      return await this.#kept(kept, label, kind)
    } catch (error) {
      // A page that a server sends in place of a file is not worth the hour that it would be believed for.
      if (error instanceof ModelError && error.reason === 'not-weights') await urls.remove(address.url)
      throw error
    }
  }

  /** A file that is kept for requests; how many bytes it has was not known before it came. */
  async #kept(kept: KeptFile, label: string, kind: WeightsKind): Promise<FoundModel> {
    const found = await this.#file(kept.path, label, kind)
    const { usage } = this.#options
    if (kept.isNew) {
      await usage.addFetched(urlKey(kept.key), label, [kept])
      await this.#makeRoom(label, 0)
    }
    await usage.touch(urlKey(kept.key), label)
    return found
  }

  async #makeRoom(label: string, comingBytes: number): Promise<void> {
    const { usage, budgetBytes } = this.#options
    if (comingBytes > budgetBytes) {
      throw new ModelError(
        'too-large',
        `${label} has ${sizeText(comingBytes)}, more than the ${sizeText(budgetBytes)} that this server keeps of what requests name; its operator can type: darkroom pull ${label}`,
      )
    }
    await usage.makeRoom(budgetBytes, comingBytes)
  }

  /** Whether base models that are not here are fetched for requests. */
  get fetchesBases(): boolean {
    return this.#isAllowed('base')
  }

  #isAllowed(kind: WeightsKind): boolean {
    const { policy } = this.#options
    return policy === 'all' || (policy === 'adapters' && !isBaseKind(kind))
  }

  async #requireAllowed(label: string, kind: WeightsKind, fromHub: boolean): Promise<void> {
    const pull = `its operator can fetch it with: darkroom pull ${label}`
    if (!this.#isAllowed(kind)) {
      const what = this.#options.policy === 'never' ? 'nothing is' : 'base models are not'
      throw new ModelError(
        'downloads-off',
        `${label} is not on this server, and ${what} fetched for requests${await this.#names.alternatives(kind)}; ${pull}`,
      )
    }
    if (fromHub && this.#options.isOffline) {
      throw new ModelError(
        'offline',
        `${label} is not on this server, which is set not to ask the hub (HF_HUB_OFFLINE)${await this.#names.alternatives(kind)}.`,
      )
    }
  }

  async #found(
    choice: ModelChoice,
    root: string,
    rootLabel: string,
    wish: ModelWish,
    revision?: string,
  ): Promise<FoundModel> {
    const rest = revision === undefined ? {} : { revision }
    if (choice.type === 'file') {
      const [{ path }] = choice.files
      return { ...(await this.#file(join(root, path), `${rootLabel}/${path}`, wish.kind)), ...rest }
    }
    const { type, folder, variant } = choice
    return {
      type,
      folder: join(root, folder),
      label: folder === '' ? rootLabel : `${rootLabel}/${folder}`,
      ...rest,
      ...(variant !== undefined && { variant }),
    }
  }

  async #file(path: string, label: string, kind: WeightsKind): Promise<FoundModel & { type: 'file' }> {
    const content = await this.#inspector.inspect(path)
    if ('foreign' in content) throw new ModelError('not-weights', `${label} is ${content.foreign}, not weights.`)
    if (content.kind !== undefined && !answers(content.kind, kind)) {
      throw new ModelError(
        'wrong-kind',
        `${label} is ${KIND_NAMES[content.kind]}, and ${KIND_NAMES[kind]} is wanted here.`,
      )
    }
    return { type: 'file', path, label, content }
  }
}

/** The name of a whole repository. */
function rootLabelOf({ type, repository, revision }: HubReference): string {
  return labelOf({ type, repository, ...(revision !== undefined && { revision }) })
}

/** Whether weights of one kind can be used as another: a checkpoint has a UNet and an autoencoder in it. */
function answers(kind: WeightsKind, wanted: WeightsKind): boolean {
  if (kind === wanted || wanted === 'detector') return true
  if (kind === 'base') return wanted === 'unet' || wanted === 'vae'
  return kind === 'unet' && wanted === 'ic-light'
}

function forbidden(label: string): ModelError {
  return new ModelError(
    'forbidden',
    `${label} lies outside of the models folder, and this server opens no other paths: put it there and name it relative to it.`,
  )
}

async function pathKind(path: string): Promise<'file' | 'folder' | undefined> {
  const entry = await stat(path).catch(() => undefined)
  return entry?.isFile() ? 'file' : entry?.isDirectory() ? 'folder' : undefined
}
