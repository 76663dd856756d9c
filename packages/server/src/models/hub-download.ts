import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { OutboundHttp } from '../security/outbound-http.ts'
import { withFileLock } from './file-lock.ts'
import type { HubCache } from './hub-cache.ts'
import type { HubClient, HubFileSource } from './hub-client.ts'
import { ModelError } from './model-error.ts'
import { PartialFile } from './partial-file.ts'
import { SharedWork } from './shared-work.ts'
import { type TransferOptions, transfer } from './transfer.ts'

export interface HubDownloadOptions {
  readonly cache: HubCache
  readonly client: HubClient
  readonly http: OutboundHttp
  readonly connections?: number
  readonly tuning?: TransferOptions['tuning']
  readonly freeBytes?: TransferOptions['freeBytes']
}

export interface FileProgress {
  readonly doneBytes: number
  readonly totalBytes: number | undefined
}

export interface FileRequest {
  readonly repository: string
  readonly revision: string
  readonly path: string
  readonly maxBytes: number
  readonly signal: AbortSignal
  readonly onProgress?: (progress: FileProgress) => void
}

/** A file in the cache. */
export interface CachedFile {
  readonly path: string
  readonly commit: string
  readonly blob: string
  readonly size: number
  /** Whether it was not here before. */
  readonly isNew: boolean
}

/**
 * Fetches files of a hub into its cache, each once: callers of this process share a download, other processes (Python's as well)
 * are kept out by the blob's lock, and find it done when they get in.
 */
export class HubDownloads {
  readonly #options: HubDownloadOptions
  readonly #running = new SharedWork<void, FileProgress>()

  constructor(options: HubDownloadOptions) {
    this.#options = options
  }

  /**
   * The file as the hub has it now. Where the cache has that version, nothing is fetched.
   * @throws ModelError; the signal's reason
   */
  async fetch(request: FileRequest): Promise<CachedFile> {
    const { repository, revision, path, signal } = request
    const { cache, client } = this.#options
    const source = await client.file(repository, revision, path, signal).catch(async (error) => {
      const commit =
        error instanceof ModelError && error.reason === 'not-found' ? cache.commitOf(repository, revision) : undefined
      if (commit !== undefined) await cache.markMissing(repository, commit, path)
      throw error
    })
    const { commit, etag } = source
    const blob = cache.blobPath(repository, etag)
    const isNew = (await sizeOf(blob)) === undefined
    if (isNew) {
      const listen = request.onProgress ?? (() => {})
      await this.#running.join(blob, signal, listen, (shared, report) =>
        this.#download(request, source, shared, report),
      )
    }
    const pointer = await cache.link(repository, commit, path, etag)
    await cache.writeRef(repository, revision, commit)
    return { path: pointer, commit, blob, size: (await sizeOf(blob)) ?? 0, isNew }
  }

  async #download(
    request: FileRequest,
    source: HubFileSource,
    signal: AbortSignal,
    report: (progress: FileProgress) => void,
  ): Promise<void> {
    const { cache, client, http, connections = 4, tuning, freeBytes } = this.#options
    const { repository, path, maxBytes } = request
    const { etag, size, hash } = source
    const blob = cache.blobPath(repository, etag)
    await mkdir(dirname(blob), { recursive: true })
    await withFileLock(cache.lockPath(repository, etag), signal, async (isLocked) => {
      if ((await sizeOf(blob)) !== undefined) return
      // Not `<etag>.incomplete`: older versions of huggingface_hub take that for a file without gaps, and append to it.
      const owner = isLocked ? '' : `.${process.pid}`
      const partial = await PartialFile.open(`${blob}${owner}.darkroom.incomplete`, `${etag} ${size}`)
      let first: HubFileSource | undefined = source
      const locate = async () => {
        const { etag: _, ...remote } = first ?? (await client.file(repository, source.commit, path, signal))
        first = undefined
        return remote
      }
      try {
        await transfer(locate, partial, hash, {
          http,
          label: `${repository}/${path}`,
          maxBytes,
          connections,
          signal,
          onProgress: (doneBytes, totalBytes) => report({ doneBytes, totalBytes }),
          ...(tuning && { tuning }),
          ...(freeBytes && { freeBytes }),
        })
      } catch (error) {
        await partial.keep()
        throw error
      }
      await partial.place(blob)
    })
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  )
}
