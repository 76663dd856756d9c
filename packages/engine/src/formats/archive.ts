/**
 * Reads zip, tar and tar.gz archives that strangers send, in memory only: nothing is written anywhere, and what an archive may cost is
 * bounded before it is unpacked.
 */
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl'
import { EngineError } from '../errors/engine-error.ts'
import { isTar, readTar } from './tar.ts'

/** A file in an archive. */
export interface ArchivedFile {
  /** Its path in the archive, with `/`. */
  readonly name: string
  readonly data: Uint8Array
}

export interface ArchiveLimits {
  /** Entries of any kind. Default 1,000. */
  readonly entries?: number
  /** Unpacked bytes of all files together, for tar.gz of all that is in it. Default 128 MB. */
  readonly bytes?: number
}

/** An archive that is refused: its message is one sentence that says why. */
export class ArchiveError extends EngineError {
  override readonly name = 'ArchiveError'
  readonly kind = 'picture'
}

const DEFAULT_LIMITS = { entries: 1_000, bytes: 128_000_000 } as const

/** Names of pictures, by their ending. */
const PICTURE = /\.(png|jpe?g|webp|gif|bmp|tiff?|avif)$/i

/**
 * The pictures of an archive, sorted by name as Python sorts. What is no picture by its name, what macOS adds (`__MACOSX`, `.DS_Store`)
 * and everything else that starts with a dot is left out.
 * @throws ArchiveError for a file that is no archive, is damaged, encrypted or without pictures, holds links or paths that lead out of it,
 *   or would unpack to more than the limits
 */
export async function readPictureArchive(file: Uint8Array, limits: ArchiveLimits = {}): Promise<ArchivedFile[]> {
  const bounds = { ...DEFAULT_LIMITS, ...limits }
  const files = await readFiles(file, bounds)
  if (files.length === 0) throw new ArchiveError('the archive holds no pictures')
  return files.sort((a, b) => (a.name < b.name ? -1 : 1))
}

type Bounds = Required<ArchiveLimits>

async function readFiles(file: Uint8Array, bounds: Bounds): Promise<ArchivedFile[]> {
  const [first, second] = file
  if (first === 0x50 && second === 0x4b) return readZip(file, bounds)
  if (first === 0x1f && second === 0x8b) {
    const unpacked = await unzip(file, bounds)
    if (isTar(unpacked)) return readTarFiles(unpacked, bounds)
  } else if (isTar(file)) return readTarFiles(file, bounds)
  throw new ArchiveError('the file is no zip, tar or tar.gz archive')
}

async function unzip(file: Uint8Array, bounds: Bounds): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(file, { maxOutputLength: bounds.bytes })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bounds)
    throw damaged(cause)
  }
}

function readTarFiles(file: Uint8Array, bounds: Bounds): ArchivedFile[] {
  const files: ArchivedFile[] = []
  const budget = new Budget(bounds)
  for (const { name, kind, data } of readTar(file, damaged)) {
    if (kind === 'link') throw linked(name)
    if (kind === 'device') throw new ArchiveError(`the archive holds ${quoted(name)}, which is no ordinary file`)
    const isWanted = kind === 'file' && isPicture(checkedName(name))
    budget.take(isWanted ? data.length : 0)
    if (isWanted) files.push({ name, data })
  }
  return files
}

async function readZip(file: Uint8Array, bounds: Bounds): Promise<ArchivedFile[]> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const options = { lazyEntries: true, autoClose: false, strictFileNames: true }
  const archive = await fromBufferPromise(bytes, options).catch((cause: unknown) => {
    throw damaged(cause)
  })
  try {
    const wanted: Entry[] = []
    const budget = new Budget(bounds)
    if (archive.entryCount > bounds.entries) throw tooMany(bounds)
    for await (const entry of archive.eachEntry()) {
      const name = checkedName(entry.fileName)
      if (entry.isEncrypted()) throw new ArchiveError(`the archive is encrypted (${quoted(name)} needs a password)`)
      if (isLink(entry)) throw linked(name)
      const isWanted = !name.endsWith('/') && isPicture(name)
      budget.take(isWanted ? entry.uncompressedSize : 0)
      if (isWanted) wanted.push(entry)
    }
    const files: ArchivedFile[] = []
    for (const entry of wanted) files.push({ name: entry.fileName, data: await readEntry(archive, entry) })
    return files
  } catch (error) {
    throw error instanceof ArchiveError ? error : (badName(error) ?? damaged(error))
  } finally {
    archive.close()
  }
}

/** An entry's bytes; more than it announced are an error. */
async function readEntry(archive: ZipFile, entry: Entry): Promise<Uint8Array> {
  const data = new Uint8Array(entry.uncompressedSize)
  let length = 0
  const stream: AsyncIterable<Buffer> = await archive.openReadStreamPromise(entry)
  for await (const chunk of stream) {
    if (length + chunk.length > data.length) throw new Error('an entry is longer than it says')
    data.set(chunk, length)
    length += chunk.length
  }
  if (length < data.length) throw new Error('an entry is shorter than it says')
  return data
}

const UNIX = 3
const KIND_OF_FILE = 0o170000
const SYMBOLIC_LINK = 0o120000

/** Unix modes are in the upper half of the attributes of archives made on Unix. */
function isLink({ versionMadeBy, externalFileAttributes }: Entry): boolean {
  return versionMadeBy >> 8 === UNIX && ((externalFileAttributes >>> 16) & KIND_OF_FILE) === SYMBOLIC_LINK
}

/** Counts entries and bytes before anything is unpacked. */
class Budget {
  readonly #bounds: Bounds
  #entries = 0
  #bytes = 0

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  /** @throws ArchiveError beyond the limits */
  take(bytes: number): void {
    this.#entries++
    this.#bytes += bytes
    if (this.#entries > this.#bounds.entries) throw tooMany(this.#bounds)
    if (this.#bytes > this.#bounds.bytes) throw tooLarge(this.#bounds)
  }
}

/** @throws ArchiveError for a path that is absolute or leads out of the archive, on any system */
function checkedName(name: string): string {
  const isAbsolute = /^([/\\]|[a-z]:)/i.test(name)
  if (isAbsolute || name.includes('\\') || name.includes('\0') || name.split('/').includes('..')) {
    throw leadsOut(name)
  }
  return name
}

/** yauzl checks names before it hands them out. */
function badName(error: unknown): ArchiveError | undefined {
  const message = error instanceof Error ? error.message : ''
  const name = /^(?:invalid relative path|absolute path|invalid characters in fileName): (.*)$/s.exec(message)?.[1]
  return name === undefined ? undefined : leadsOut(name)
}

function leadsOut(name: string): ArchiveError {
  return new ArchiveError(`the archive holds the path ${quoted(name)}, which leads out of it`)
}

function isPicture(name: string): boolean {
  const parts = name.split('/').filter((part) => part !== '.')
  return PICTURE.test(name) && parts.every((part) => part !== '__MACOSX' && !part.startsWith('.'))
}

function linked(name: string): ArchiveError {
  return new ArchiveError(`the archive holds the link ${quoted(name)}; only ordinary files are read`)
}

function tooMany({ entries }: Bounds): ArchiveError {
  return new ArchiveError(`the archive holds more than ${entries} entries`)
}

function tooLarge({ bytes }: Bounds): ArchiveError {
  return new ArchiveError(`the archive unpacks to more than ${bytes / 1e6} MB`)
}

function damaged(cause: unknown): ArchiveError {
  const detail = cause instanceof Error ? cause.message : String(cause)
  return new ArchiveError(`the archive is damaged or incomplete (${detail})`, { cause })
}

/** A stranger's name, short enough for a message. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
}
