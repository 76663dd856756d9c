import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OutboundHttp, OutboundResponse } from '../security/outbound-http.ts'
import { withFileLock } from './file-lock.ts'
import { sendFollowing } from './following-request.ts'
import type { FileProgress } from './hub-download.ts'
import { ModelError } from './model-error.ts'
import { PartialFile } from './partial-file.ts'
import { persist, RETRY_TIMING } from './persist.ts'
import { SharedWork } from './shared-work.ts'
import { type RemoteFile, type TransferOptions, transfer } from './transfer.ts'
import { retryAfterSeconds, StatusError, toModelError } from './transfer-error.ts'

export interface UrlDownloadsOptions {
  /** Where files are kept, one folder for each URL. */
  readonly folder: string
  readonly http: OutboundHttp
  readonly connections?: number
  readonly tuning?: TransferOptions['tuning']
  readonly freeBytes?: TransferOptions['freeBytes']
  readonly now?: () => Date
}

export interface UrlRequest {
  readonly url: URL
  /** Sent to the URL's own origin alone. */
  readonly authorization?: string
  readonly label: string
  readonly maxBytes: number
  readonly signal: AbortSignal
  readonly onProgress?: (progress: FileProgress) => void
}

/** What is kept beside a file. */
interface FileRecord {
  readonly fileName: string
  readonly size: number
  readonly etag?: string
  /** How it was called when it was fetched. */
  readonly label: string
  /** When its server was last asked whether it has changed: ISO 8601. */
  readonly checkedAt: string
}

export interface KeptFile {
  /** Names it among the kept files. */
  readonly key: string
  readonly path: string
  readonly size: number
  /** Whether it was not here before. */
  readonly isNew: boolean
}

/** A file at a URL is taken for unchanged this long before its server is asked again. */
const FRESH_MILLISECONDS = 3600_000
const PROBE_SECONDS = 30

interface Probe extends RemoteFile {
  readonly fileName: string
}

/** Files of plain URLs, kept by URL and ETag; and files that came another way, kept by a name for their bytes. */
export class UrlDownloads {
  readonly folder: string
  readonly #options: UrlDownloadsOptions
  readonly #running = new SharedWork<KeptFile, FileProgress>()

  constructor(options: UrlDownloadsOptions) {
    this.folder = options.folder
    this.#options = options
  }

  /** A file that is here, whether or not its server has another by now. */
  async find(url: URL): Promise<KeptFile | undefined> {
    return (await this.#read(keyOf(url.href)))?.file
  }

  /**
   * The file behind a URL. One that was asked after within the hour is not asked after again; one that has not changed is not
   * fetched again; where its server is out of reach, the one that is here serves.
   * @throws ModelError; the signal's reason
   */
  async fetch(request: UrlRequest): Promise<KeptFile> {
    const key = keyOf(request.url.href)
    const known = await this.#read(key)
    if (known !== undefined && this.#isFresh(known.record)) return known.file
    try {
      const listen = request.onProgress ?? (() => {})
      return await this.#running.join(key, request.signal, listen, (signal, report) =>
        this.#refresh(key, { ...request, signal, onProgress: report }),
      )
    } catch (error) {
      const isAway = error instanceof ModelError && (error.reason === 'unreachable' || error.reason === 'rate-limited')
      if (known !== undefined && isAway) return known.file
      throw error
    }
  }

  /**
   * Keeps bytes that came another way.
   * @param name names the bytes: other bytes need another name
   * @param open begins the bytes, where they are not here yet
   */
  async keep(
    name: string,
    fileName: string,
    label: string,
    open: () => Promise<AsyncIterable<Uint8Array>>,
    signal: AbortSignal,
  ): Promise<KeptFile> {
    const key = keyOf(name)
    const known = await this.#read(key)
    if (known !== undefined) return known.file
    return this.#running.join(
      key,
      signal,
      () => {},
      async (shared) => {
        await mkdir(join(this.folder, key), { recursive: true })
        return withFileLock(this.#lock(key), shared, async (isLocked) => {
          const partial = await PartialFile.open(this.#partial(key, isLocked), undefined)
          let size = 0
          try {
            for await (const chunk of await open()) size += await partial.write([chunk], size)
          } catch (error) {
            await partial.discard()
            throw toModelError(error, label)
          }
          return this.#place(key, partial, { fileName, size, label })
        })
      },
    )
  }

  /** Every file that is here, and how it was called when it came. */
  async all(): Promise<(KeptFile & { readonly label: string })[]> {
    const keys = await readdir(this.folder).catch((): string[] => [])
    const read = await Promise.all(keys.map((key) => this.#read(key)))
    return read.flatMap((known) => (known === undefined ? [] : [{ ...known.file, label: known.record.label }]))
  }

  /** Removes a file. */
  async remove(url: URL): Promise<void> {
    await rm(join(this.folder, keyOf(url.href)), { recursive: true, force: true })
  }

  async #refresh(key: string, request: UrlRequest): Promise<KeptFile> {
    const { signal, label, maxBytes, onProgress } = request
    const { http, connections = 4, tuning, freeBytes } = this.#options
    await mkdir(join(this.folder, key), { recursive: true })
    return withFileLock(this.#lock(key), signal, async (isLocked) => {
      const known = await this.#read(key)
      if (known !== undefined && this.#isFresh(known.record)) return known.file
      const probe = await this.#probe(request)
      const { fileName, etag, size } = probe
      if (known !== undefined && etag !== undefined && known.record.etag === etag && known.record.size === size) {
        await this.#writeRecord(key, known.record)
        return known.file
      }
      const identity = etag === undefined ? undefined : `${etag} ${size}`
      const partial = await PartialFile.open(this.#partial(key, isLocked), identity)
      let first: Probe | undefined = probe
      const locate = async () => {
        const remote = first ?? (await this.#probe(request))
        first = undefined
        return remote
      }
      let bytes: number
      try {
        const options = {
          http,
          label,
          maxBytes,
          connections,
          signal,
          ...(tuning && { tuning }),
          ...(freeBytes && { freeBytes }),
        }
        const report = (doneBytes: number, totalBytes: number | undefined) => onProgress?.({ doneBytes, totalBytes })
        bytes = await transfer(locate, partial, undefined, { ...options, onProgress: report })
      } catch (error) {
        await partial.keep()
        throw error
      }
      return this.#place(key, partial, { fileName, size: bytes, label, ...(etag !== undefined && { etag }) })
    })
  }

  /** Asks for the first byte: the only question that servers of files, signed addresses included, answer alike. */
  async #probe({ url, authorization, label, signal }: UrlRequest): Promise<Probe> {
    const request = {
      url,
      method: 'GET' as const,
      headers: { range: 'bytes=0-0' },
      timeoutSeconds: PROBE_SECONDS,
      signal,
      ...(authorization !== undefined && { authorization }),
    }
    const attempt = () =>
      sendFollowing(this.#options.http, request, async (response, answeredBy) => {
        if (response.status !== 200 && response.status !== 206) {
          throw new StatusError(response.status, retryAfterSeconds(response.headers['retry-after'], new Date()))
        }
        if (/^text\/html\b/i.test(response.headers['content-type'] ?? '')) {
          throw new ModelError(
            'not-weights',
            `${label} is a web page, not weights: give the address of the file itself.`,
          )
        }
        return describeAnswer(response, answeredBy, answeredBy.origin === url.origin ? authorization : undefined)
      })
    try {
      return await persist(signal, { ...RETRY_TIMING, ...this.#options.tuning }, attempt)
    } catch (error) {
      signal.throwIfAborted()
      throw toModelError(error, label)
    }
  }

  async #place(key: string, partial: PartialFile, record: Omit<FileRecord, 'checkedAt'>): Promise<KeptFile> {
    const path = join(this.folder, key, record.fileName)
    await rm(this.#record(key), { force: true })
    await partial.place(path)
    await this.#writeRecord(key, record)
    return { key, path, size: record.size, isNew: true }
  }

  /** The file is whole when its record is there: the record is written behind it, and removed before another takes its place. */
  async #read(key: string): Promise<{ record: FileRecord; file: KeptFile } | undefined> {
    try {
      const record = JSON.parse(await readFile(this.#record(key), 'utf8')) as FileRecord
      const path = join(this.folder, key, record.fileName)
      const { size } = await stat(path)
      return size === record.size ? { record, file: { key, path, size, isNew: false } } : undefined
    } catch {
      return undefined
    }
  }

  async #writeRecord(key: string, record: Omit<FileRecord, 'checkedAt'>): Promise<void> {
    const path = this.#record(key)
    await writeFile(`${path}~`, JSON.stringify({ ...record, checkedAt: this.#now().toISOString() }))
    await rename(`${path}~`, path)
  }

  #isFresh({ checkedAt }: FileRecord): boolean {
    return this.#now().getTime() - Date.parse(checkedAt) < FRESH_MILLISECONDS
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date()
  }

  #record(key: string): string {
    return join(this.folder, key, 'record.json')
  }

  #partial(key: string, isLocked: boolean): string {
    return join(this.folder, key, isLocked ? 'partial.incomplete' : `partial.${process.pid}.incomplete`)
  }

  #lock(key: string): string {
    return join(this.folder, key, 'lock')
  }
}

/** A folder's name: URLs are long, and hold what belongs in no file name. */
function keyOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 40)
}

function describeAnswer(response: OutboundResponse, url: URL, authorization: string | undefined): Probe {
  const { status, headers } = response
  const total = /^bytes 0-0\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1]
  const size = Number(status === 206 ? total : (headers['content-length'] ?? Number.NaN))
  const { etag } = headers
  return {
    url,
    fileName: fileNameOf(headers['content-disposition'], url),
    acceptsRanges: status === 206 && total !== undefined,
    ...(Number.isSafeInteger(size) && { size }),
    ...(etag !== undefined && !etag.startsWith('W/') && { etag }),
    ...(authorization !== undefined && { authorization }),
  }
}

/** A name for the file on this disk, of harmless characters alone. */
function fileNameOf(disposition: string | undefined, url: URL): string {
  const named = /filename="?([^";]+)"?/i.exec(disposition ?? '')?.[1] ?? url.pathname.split('/').at(-1) ?? ''
  const harmless = named
    .replace(/[^A-Za-z0-9._-]+/g, '_')
    .replace(/^[._]+/, '')
    .slice(-100)
  return harmless === '' || harmless === 'record.json' || harmless === 'lock' ? 'weights' : harmless
}
