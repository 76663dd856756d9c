import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { listFolder, readJsonFile } from './folder-listing.ts'
import type { HubCache } from './hub-cache.ts'
import type { HubClient } from './hub-client.ts'
import type { CachedFile, HubDownloads } from './hub-download.ts'
import { chooseModel, likelyKind, type ModelChoice, type ModelWish } from './model-choice.ts'
import { ModelError } from './model-error.ts'
import { type HubReference, movedTo } from './reference.ts'
import { sizeText } from './size-text.ts'
import type { WeightsKind } from './weights-kind.ts'
import type { ListedFile } from './weights-selection.ts'

export interface HubModelsOptions {
  readonly cache: HubCache
  readonly client: HubClient
  readonly downloads: HubDownloads
  /** Where listings of repositories are kept. */
  readonly listingsFolder: string
}

export interface HubFetchOptions {
  /** Of all files together. */
  readonly maxBytes: number
  readonly signal: AbortSignal
  /** Called once it is known what is to be fetched. */
  readonly onStart?: (bytes: number, files: number) => Promise<void> | void
  /** Bytes that are here of all, as they come. */
  readonly onProgress?: (doneBytes: number, file: ListedFile, fileBytes: number) => void
  /** Called for each file that was not here before. */
  readonly onFetched?: (file: CachedFile) => void
}

/** A repository's files at one commit, and its licence as its card names it. */
export interface HubListing {
  readonly files: readonly ListedFile[]
  readonly license?: string
}

/** What is needed of a repository, and where it is or will be. */
export interface HubModel {
  /** Under the name that the cache has it by. */
  readonly repository: string
  readonly choice: ModelChoice
  /** Of the snapshot. */
  readonly folder: string
  readonly commit: string
}

export interface HubPlan extends HubModel {
  readonly license?: string
  /** What of it is not here yet. */
  readonly missing: readonly ListedFile[]
}

/** Files of one model fetched at the same time, each by several connections. */
const FILES_AT_ONCE = 3

/** Repositories of a hub: what of them is needed for a purpose, whether it is in the cache, and fetching it. */
export class HubModels {
  readonly #options: HubModelsOptions
  readonly #listings = new Map<string, HubListing>()

  constructor(options: HubModelsOptions) {
    this.#options = options
  }

  /**
   * The model in the cache, when all that is needed of it is there.
   * @throws ModelError `not-found`, `ambiguous` when its listing says that it has no such thing
   */
  async findLocal(reference: HubReference, wish: ModelWish, label: string): Promise<HubModel | undefined> {
    const { cache } = this.#options
    for (const repository of new Set([reference.repository, movedTo(reference.repository)])) {
      const snapshot = await cache.snapshot(repository, reference.revision)
      if (snapshot === undefined) continue
      const { commit, folder } = snapshot
      const listing = (await this.listing(repository, commit))?.files
      const wanted = { ...wish, ...(reference.path !== undefined && { path: reference.path }) }
      const choose = (files: readonly ListedFile[]) =>
        chooseModel(files, wanted, label, (path) => readJsonFile(join(folder, path)))
      const choice = listing && (await choose(listing))
      if (choice && this.#isHere(repository, commit, choice)) return { choice, folder, commit, repository }
      // A single file is not guessed from some of a repository's.
      if (choice?.type === 'file') continue
      // Another variant than the one that would be fetched serves as well, and without a listing the rest may be on the hub.
      const other = await choose(await listFolder(folder)).catch((error) => {
        if (error instanceof ModelError) return undefined
        throw error
      })
      if (other && this.#isHere(repository, commit, other)) return { choice: other, folder, commit, repository }
    }
    return undefined
  }

  /**
   * What would be fetched of a repository.
   * @throws ModelError; the signal's reason
   */
  async plan(
    reference: HubReference,
    wish: Omit<ModelWish, 'kind'> & { readonly kind?: WeightsKind },
    label: string,
    signal: AbortSignal,
  ): Promise<HubPlan> {
    const { cache, client } = this.#options
    const repository = movedTo(reference.repository)
    const { commit, files, license } = await client.repository(repository, reference.revision ?? 'main', signal)
    await this.#writeListing(repository, commit, { files, ...(license !== undefined && { license }) })
    const readIndex = async (path: string) => {
      const value = await client.json(repository, commit, path, signal)
      return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
    }
    const kind = wish.kind ?? likelyKind(files, reference.path)
    const wanted = { ...wish, kind, ...(reference.path !== undefined && { path: reference.path }) }
    const choice = await chooseModel(files, wanted, label, readIndex)
    if (choice.missing.length > 0) {
      throw new ModelError('not-found', `${label} lacks what it would need: ${choice.missing.slice(0, 3).join(', ')}.`)
    }
    const missing = this.#missing(repository, commit, choice)
    return {
      choice,
      folder: cache.snapshotFolder(repository, commit),
      commit,
      repository,
      missing,
      ...(license !== undefined && { license }),
    }
  }

  /** Fetches what is needed of a repository as its hub has it now. */
  async fetch(reference: HubReference, wish: ModelWish, label: string, options: HubFetchOptions): Promise<HubModel> {
    const plan = await this.plan(reference, wish, label, options.signal)
    const bytes = plan.missing.reduce((sum, { size }) => sum + size, 0)
    if (bytes > options.maxBytes) {
      throw new ModelError(
        'too-large',
        `${label} has ${sizeText(bytes)}, more than the ${sizeText(options.maxBytes)} that this server fetches for a request; its operator can type: darkroom pull ${label}`,
      )
    }
    if (plan.missing.length > 0) await options.onStart?.(bytes, plan.missing.length)
    await this.fetchPlan(plan, reference.revision ?? 'main', options)
    return plan
  }

  /** Fetches what a plan lacks, and then says that the revision is at its commit. */
  async fetchPlan({ repository, commit, missing }: HubPlan, revision: string, options: HubFetchOptions): Promise<void> {
    const { cache, downloads } = this.#options
    const done = new Map<string, number>()
    const stop = new AbortController()
    const signal = AbortSignal.any([options.signal, stop.signal])
    const queue = [...missing]
    const work = async () => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        const current = file
        const fetched = await downloads.fetch({
          repository,
          revision: commit,
          path: current.path,
          maxBytes: options.maxBytes,
          signal,
          onProgress: ({ doneBytes }) => {
            done.set(current.path, doneBytes)
            options.onProgress?.(
              [...done.values()].reduce((sum, bytes) => sum + bytes, 0),
              current,
              doneBytes,
            )
          },
        })
        if (fetched.isNew) options.onFetched?.(fetched)
      }
    }
    const workers = Array.from({ length: Math.min(FILES_AT_ONCE, queue.length) }, () =>
      work().catch((error) => {
        stop.abort(error)
        throw error
      }),
    )
    // All have ended when this returns; the first failure is the one to tell, the others follow from it.
    await Promise.allSettled(workers)
    if (stop.signal.aborted) throw stop.signal.reason
    await cache.writeRef(repository, revision, commit)
  }

  #isHere(repository: string, commit: string, choice: ModelChoice): boolean {
    return choice.missing.length === 0 && this.#missing(repository, commit, choice).length === 0
  }

  #missing(repository: string, commit: string, choice: ModelChoice): ListedFile[] {
    const { cache } = this.#options
    return choice.files.filter(({ path, size }) => cache.fileSize(repository, commit, path) !== size)
  }

  /** What a repository has at a commit, as far as its hub was asked from here. */
  async listing(repository: string, commit: string): Promise<HubListing | undefined> {
    const path = this.#listingPath(repository, commit)
    // A commit does not change.
    const known = this.#listings.get(path)
    if (known !== undefined) return known
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    const listing = JSON.parse(text) as HubListing
    this.#listings.set(path, listing)
    return listing
  }

  /** Kept: whether a name is ambiguous is a question of what the repository has, not of what has been fetched of it. */
  async #writeListing(repository: string, commit: string, listing: HubListing): Promise<void> {
    const path = this.#listingPath(repository, commit)
    await mkdir(dirname(path), { recursive: true })
    // A name of its own: two files of one repository are often wanted at once.
    const written = `${path}.${randomUUID()}~`
    await writeFile(written, JSON.stringify(listing))
    await rename(written, path)
  }

  #listingPath(repository: string, commit: string): string {
    return join(this.#options.listingsFolder, `${repository.replaceAll('/', '--')}@${commit}.json`)
  }
}
