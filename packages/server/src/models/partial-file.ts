import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { type ByteRange, ByteRanges } from './byte-ranges.ts'

const JOURNAL_MILLISECONDS = 1000

interface Journal {
  /** Names the bytes: an ETag or a hash. A partial file of other bytes is begun anew. */
  readonly identity: string
  readonly ranges: readonly ByteRange[]
}

/**
 * A file that is being fetched, in any order, and the journal beside it that says which bytes are there. Both stay when the work
 * is cut off, however it is, and the next one goes on from them.
 */
export class PartialFile {
  readonly path: string
  readonly handle: FileHandle
  readonly #identity: string | undefined
  #ranges: ByteRanges
  #journalled = performance.now()
  #writing: Promise<void> = Promise.resolve()
  #isNoting = false
  #lastWrite: Promise<unknown> = Promise.resolve()

  private constructor(path: string, handle: FileHandle, identity: string | undefined, ranges: ByteRanges) {
    this.path = path
    this.handle = handle
    this.#identity = identity
    this.#ranges = ranges
  }

  /** @param identity absent: nothing tells whether older bytes are of the same file, so none are kept */
  static async open(path: string, identity: string | undefined): Promise<PartialFile> {
    const handle = await open(path, 'r+').catch(() => open(path, 'w+'))
    const journal = await readJournal(path)
    const { size } = await handle.stat()
    const isOurs = identity !== undefined && journal?.identity === identity
    const ranges = new ByteRanges(isOurs ? journal.ranges.filter(([, to]) => to <= size) : [])
    if (ranges.length === 0 && size > 0) await handle.truncate(0)
    return new PartialFile(path, handle, identity, ranges)
  }

  get ranges(): ByteRanges {
    return this.#ranges
  }

  /** One at a time: a file's writes shut each other out, and threads that wait for each other burn the time that others need. */
  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    const written = this.#lastWrite.then(() => this.#write(chunks, position))
    this.#lastWrite = written.catch(() => {})
    return written
  }

  async #write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
    let left = chunks
    for (let at = position; at < position + length; ) {
      const { bytesWritten } = await this.handle.writev(left, at)
      at += bytesWritten
      left = behind(left, bytesWritten)
    }
    this.#ranges.add(position, position + length)
    if (performance.now() - this.#journalled > JOURNAL_MILLISECONDS) this.note()
    return length
  }

  /** Puts down what is there. `write` does by itself, every second. */
  note(): void {
    this.#journalled = performance.now()
    if (this.#isNoting) return
    this.#isNoting = true
    this.#writing = this.#writing
      .then(() => this.#writeJournal())
      .catch(() => {})
      .finally(() => {
        this.#isNoting = false
      })
  }

  /** Forgets every byte. */
  async clear(): Promise<void> {
    await this.#writing
    this.#ranges = new ByteRanges()
    await this.handle.truncate(0)
    await this.#writeJournal()
  }

  /** Closes it with what it has, for another time. */
  async keep(): Promise<void> {
    await this.#writing
    await this.#writeJournal().catch(() => {})
    await this.handle.close()
  }

  /** Makes the whole file durable under its final name. */
  async place(path: string): Promise<void> {
    await this.#writing
    await this.handle.sync()
    await this.handle.close()
    await rename(this.path, path)
    await syncFolderOf(path)
    await rm(journalPath(this.path), { force: true })
  }

  async discard(): Promise<void> {
    await this.#writing
    await this.handle.close()
    await rm(this.path, { force: true })
    await rm(journalPath(this.path), { force: true })
  }

  /**
   * Says only what the disk has: after a crash of the machine every byte of the journal is there. It also spreads the flushing of
   * a large file over its transfer, at whose end all of it would be waited for.
   */
  async #writeJournal(): Promise<void> {
    if (this.#identity === undefined) return
    const journal: Journal = { identity: this.#identity, ranges: this.#ranges.ranges }
    await this.handle.datasync()
    const path = journalPath(this.path)
    await writeFile(`${path}~`, JSON.stringify(journal))
    await rename(`${path}~`, path)
  }
}

/** Makes a name durable: a rename is in the folder, which is flushed by itself. */
async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(path.replace(/[/\\][^/\\]*$/, ''), 'r').catch(() => undefined)
  // Windows opens no folders, and needs none flushed.
  await folder?.sync().catch(() => {})
  await folder?.close()
}

function behind(chunks: readonly Uint8Array[], length: number): Uint8Array[] {
  let skipped = 0
  return chunks.flatMap((chunk) => {
    const from = Math.max(0, Math.min(chunk.byteLength, length - skipped))
    skipped += chunk.byteLength
    return from === chunk.byteLength ? [] : [chunk.subarray(from)]
  })
}

function journalPath(path: string): string {
  return `${path}.journal`
}

async function readJournal(path: string): Promise<Journal | undefined> {
  try {
    const journal: unknown = JSON.parse(await readFile(journalPath(path), 'utf8'))
    return isJournal(journal) ? journal : undefined
  } catch {
    return undefined
  }
}

function isJournal(value: unknown): value is Journal {
  if (typeof value !== 'object' || value === null || !('identity' in value) || !('ranges' in value)) return false
  const { ranges } = value
  const isRange = (range: unknown) =>
    Array.isArray(range) && range.length === 2 && range.every((end) => Number.isSafeInteger(end) && end >= 0)
  return typeof value.identity === 'string' && Array.isArray(ranges) && ranges.every(isRange)
}
