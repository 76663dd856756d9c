import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { OutboundHttp, OutboundResponse } from '../security/outbound-http.ts'
import { sendFollowing } from './following-request.ts'
import { type ContentHash, GrowingFileHash } from './growing-file-hash.ts'
import { ModelError } from './model-error.ts'
import type { PartialFile } from './partial-file.ts'
import { persist, RETRY_TIMING, type RetryTiming } from './persist.ts'
import { sizeText } from './size-text.ts'
import { CutError, retryAfterSeconds, StatusError, toModelError } from './transfer-error.ts'

/** Where a file's bytes are to be had just now. */
export interface RemoteFile {
  readonly url: URL
  readonly authorization?: string
  /** Bytes; absent when the server does not say. */
  readonly size?: number
  /** A strong validator: ranges of another version are refused by it. */
  readonly etag?: string
  /** Whether parts of it can be asked for. */
  readonly acceptsRanges: boolean
}

export interface TransferOptions {
  readonly http: OutboundHttp
  /** How the file is called in errors. */
  readonly label: string
  readonly maxBytes: number
  /** Ranges fetched at the same time. */
  readonly connections: number
  readonly signal: AbortSignal
  readonly onProgress?: (doneBytes: number, totalBytes: number | undefined) => void
  readonly tuning?: Partial<TransferTuning>
  /** Bytes that may still be written to the disk of a folder; asked of the system unless a test answers. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

export interface TransferTuning extends RetryTiming {
  /** Seconds without a byte after which a connection is given up. */
  readonly stallSeconds: number
  /** Bytes asked for at once: enough that asking costs nothing, few enough that all connections end together. */
  readonly pieceBytes: number
}

const TUNING: TransferTuning = { ...RETRY_TIMING, stallSeconds: 30, pieceBytes: 32 * 1024 * 1024 }
/** Bodies come in 64 KiB; each write is a round trip through the thread pool. */
const WRITE_BYTES = 1024 * 1024
/** Left free for everything else that writes to the disk. */
const SPARE_BYTES = 64 * 1024 * 1024
const EXCHANGE_SECONDS = 24 * 3600

/** The server has no ranges after all. */
class RangesRefused extends Error {}

/**
 * Fetches the bytes that a partial file lacks, several ranges at a time, and checks the whole against its hash. Passing trouble
 * (a cut, a stall, 5xx, 429) is tried again with what has come so far; an address that has run out is asked for anew.
 * @param locate where the bytes are; called again when the address is refused
 * @returns bytes of the whole file
 * @throws ModelError; the signal's reason. What has come stays in the partial file
 */
export async function transfer(
  locate: (signal: AbortSignal) => Promise<RemoteFile>,
  partial: PartialFile,
  hash: ContentHash | undefined,
  options: TransferOptions,
): Promise<number> {
  try {
    return await new Transfer(locate, partial, hash, options).run()
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason
    throw toModelError(error, options.label)
  }
}

class Transfer {
  readonly #locate: (signal: AbortSignal) => Promise<RemoteFile>
  readonly #partial: PartialFile
  readonly #hash: ContentHash | undefined
  readonly #options: TransferOptions
  readonly #tuning: TransferTuning
  #locating: Promise<RemoteFile> | undefined
  #size: number | undefined
  #growing: GrowingFileHash | undefined

  constructor(
    locate: (signal: AbortSignal) => Promise<RemoteFile>,
    partial: PartialFile,
    hash: ContentHash | undefined,
    options: TransferOptions,
  ) {
    this.#locate = locate
    this.#partial = partial
    this.#hash = hash
    this.#options = options
    this.#tuning = { ...TUNING, ...options.tuning }
  }

  async run(): Promise<number> {
    const hadBytes = this.#partial.ranges.length > 0
    const size = await this.#fetch()
    if (this.#hash === undefined || (await this.#matches(size))) return size
    await this.#partial.clear()
    // Bytes of an earlier time may have suffered since, in a crash of the machine for one: they are no reason to blame the server.
    if (hadBytes) {
      const again = await this.#fetch()
      if (await this.#matches(again)) return again
      await this.#partial.clear()
    }
    throw new ModelError(
      'corrupt',
      `What came as ${this.#options.label} is not what its hub promises (its hash differs), so it was thrown away; try again later.`,
    )
  }

  async #fetch(): Promise<number> {
    const { signal, label, maxBytes } = this.#options
    const { size, acceptsRanges } = await this.#source(signal)
    this.#size = size
    if (size !== undefined && size > maxBytes) throw tooLarge(label, size, maxBytes)
    if (size === undefined || !acceptsRanges) return this.#streamed()
    await this.#requireRoom(size - this.#partial.ranges.length)
    this.#startHash(size)
    try {
      await this.#ranged(size)
      return size
    } catch (error) {
      if (!(error instanceof RangesRefused)) throw error
      return await this.#streamed()
    }
  }

  /** The hash is worked out beside the transfer; `run` reads it at the end. */
  #startHash(size: number): void {
    if (this.#hash === undefined || this.#growing !== undefined) return
    this.#growing = new GrowingFileHash(this.#partial.handle, size, this.#hash.algorithm)
    this.#growing.grow(this.#partial.ranges.prefix)
  }

  async #matches(size: number): Promise<boolean> {
    this.#startHash(size)
    try {
      return (await this.#growing?.digest()) === this.#hash?.value
    } finally {
      await this.#endHash()
    }
  }

  async #endHash(): Promise<void> {
    await this.#growing?.close()
    this.#growing = undefined
  }

  async #ranged(size: number): Promise<void> {
    const queue = this.#partial.ranges.missing(size, this.#tuning.pieceBytes)
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, this.#options.signal])
    const work = async () => {
      for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) {
        await this.#piece(piece[0], piece[1], signal)
      }
    }
    const workers = Array.from({ length: Math.min(this.#options.connections, queue.length) }, work)
    try {
      await Promise.all(
        workers.map((worker) =>
          worker.catch((error) => {
            stop.abort(error)
            throw error
          }),
        ),
      )
    } catch (error) {
      // The first failure stops the others, and nobody writes any more when the file is closed.
      await Promise.allSettled(workers)
      await this.#endHash()
      throw stop.signal.aborted ? stop.signal.reason : error
    }
  }

  async #piece(from: number, to: number, signal: AbortSignal): Promise<void> {
    let position = from
    const attempt = async () => {
      const { etag, ...remote } = await this.#source(signal)
      const headers = { range: `bytes=${position}-${to - 1}`, ...(etag !== undefined && { 'if-range': etag }) }
      await this.#exchange(remote, headers, signal, async (response, isAlive) => {
        assertPart(response, position, to)
        await this.#store(response, position, to, isAlive, (written) => {
          position = written
        })
        if (position < to) throw new CutError(`${to - position} bytes were missing`)
      })
    }
    await persist(
      signal,
      this.#tuning,
      () => this.#relocating(attempt),
      () => position,
    )
    this.#partial.note()
  }

  /** One connection from the first byte to the last, begun anew after each failure: there is no way to ask for the rest. */
  async #streamed(): Promise<number> {
    const { signal, label, maxBytes } = this.#options
    let total = 0
    const attempt = async () => {
      await this.#endHash()
      await this.#partial.clear()
      const remote = await this.#source(signal)
      await this.#exchange(remote, {}, signal, async (response, isAlive) => {
        assertSuccess(response)
        this.#refusePacked(response)
        const declared = lengthOf(response.headers['content-length'])
        const expected = declared ?? remote.size
        if (expected !== undefined && expected > maxBytes) throw tooLarge(label, expected, maxBytes)
        if (expected !== undefined) await this.#requireRoom(expected)
        let position = 0
        await this.#store(response, 0, expected ?? Number.POSITIVE_INFINITY, isAlive, (written) => {
          position = written
          if (written > maxBytes) throw tooLarge(label, written, maxBytes)
        })
        if (expected !== undefined && position < expected)
          throw new CutError(`${expected - position} bytes were missing`)
        total = position
      })
    }
    await persist(signal, this.#tuning, () => this.#relocating(attempt))
    return total
  }

  /** Signed addresses hold for an hour or less, which a large file outlasts: refused, it is asked for a new one. */
  async #relocating(attempt: () => Promise<void>): Promise<void> {
    const locating = this.#locating
    try {
      await attempt()
    } catch (error) {
      const isRefused = error instanceof StatusError && (error.status === 401 || error.status === 403)
      if (!isRefused || locating === undefined) throw error
      if (this.#locating === locating) this.#locating = undefined
      await attempt()
    }
  }

  async #source(signal: AbortSignal): Promise<RemoteFile> {
    this.#locating ??= this.#locate(signal)
    try {
      return await this.#locating
    } catch (error) {
      this.#locating = undefined
      throw error
    }
  }

  async #exchange(
    { url, authorization }: RemoteFile,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    receive: (response: OutboundResponse, isAlive: () => void) => Promise<void>,
  ): Promise<void> {
    const stalled = new AbortController()
    const seconds = this.#tuning.stallSeconds
    const timer = setTimeout(() => stalled.abort(new CutError(`nothing came for ${seconds} s`)), seconds * 1000)
    const request = {
      url,
      method: 'GET' as const,
      headers,
      timeoutSeconds: EXCHANGE_SECONDS,
      signal: AbortSignal.any([signal, stalled.signal]),
      ...(authorization !== undefined && { authorization }),
    }
    try {
      await sendFollowing(this.#options.http, request, (response) => receive(response, () => timer.refresh()))
    } catch (error) {
      throw stalled.signal.aborted && !signal.aborted ? stalled.signal.reason : error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Writes a body at its place. What has come is written even when the rest does not come. */
  async #store(
    { body }: OutboundResponse,
    from: number,
    to: number,
    isAlive: () => void,
    onWritten: (position: number) => void,
  ): Promise<void> {
    let batch: Uint8Array[] = []
    let batchBytes = 0
    let position = from
    let writing: Promise<void> = Promise.resolve()
    const flush = async () => {
      await writing
      const [chunks, at] = [batch, position]
      batch = []
      position += batchBytes
      batchBytes = 0
      // One write is under way while the next batch comes in.
      writing = this.#write(chunks, at, onWritten)
      writing.catch(() => {})
    }
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        isAlive()
        if (position + batchBytes + chunk.byteLength > to) throw new CutError('more came than was promised')
        batch.push(chunk)
        batchBytes += chunk.byteLength
        if (batchBytes >= WRITE_BYTES) await flush()
      }
    } finally {
      await flush()
      await writing
    }
  }

  async #write(chunks: readonly Uint8Array[], position: number, onWritten: (position: number) => void): Promise<void> {
    if (chunks.length === 0) return
    const length = await this.#partial.write(chunks, position)
    this.#growing?.grow(this.#partial.ranges.prefix)
    this.#options.onProgress?.(this.#partial.ranges.length, this.#size)
    onWritten(position + length)
  }

  /** The bytes are kept as they come, and what was asked for is the file. */
  #refusePacked({ headers }: OutboundResponse): void {
    const encoding = headers['content-encoding'] ?? 'identity'
    if (/^identity$/i.test(encoding)) return
    const { label } = this.#options
    throw new ModelError('not-weights', `The server of ${label} sends it packed (${encoding}) and not as it is.`)
  }

  async #requireRoom(bytes: number): Promise<void> {
    const free = await (this.#options.freeBytes ?? freeBytesOf)(dirname(this.#partial.path))
    if (free >= bytes + SPARE_BYTES) return
    throw new ModelError(
      'disk-full',
      `${this.#options.label} needs ${sizeText(bytes)} more and the disk has ${sizeText(free)} left; free some space (darkroom gc) and try again.`,
    )
  }
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

function assertSuccess({ status, headers }: OutboundResponse): void {
  if (status >= 200 && status < 300) return
  throw new StatusError(status, retryAfterSeconds(headers['retry-after'], new Date()))
}

function assertPart(response: OutboundResponse, from: number, to: number): void {
  assertSuccess(response)
  const range = /^bytes (\d+)-(\d+)\//.exec(response.headers['content-range'] ?? '')
  if (
    response.status !== 206 ||
    range === null ||
    (response.headers['content-encoding'] ?? 'identity') !== 'identity'
  ) {
    throw new RangesRefused()
  }
  if (Number(range[1]) !== from || Number(range[2]) >= to) throw new RangesRefused()
}

function lengthOf(header: string | undefined): number | undefined {
  return header === undefined || !/^\d+$/.test(header) ? undefined : Number(header)
}

function tooLarge(label: string, size: number, maxBytes: number): ModelError {
  return new ModelError(
    'too-large',
    `${label} has ${sizeText(size)}, more than the ${sizeText(maxBytes)} that this server fetches for a request; its operator can fetch it with darkroom pull.`,
  )
}
