import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openPromise } from 'yauzl'
import { withFileLock } from '../models/file-lock.ts'
import { ModelError } from '../models/model-error.ts'
import { PartialFile } from '../models/partial-file.ts'
import { transfer } from '../models/transfer.ts'
import type { OutboundHttp } from '../security/outbound-http.ts'
import { AccelerationError } from './acceleration-error.ts'
import { INSTALLATION_FILE, type Installation, installedFolder } from './installed-libraries.ts'
import type { LibraryPackage } from './openvino-package.ts'
import { locateInIndex } from './python-index.ts'

export interface InstallOptions {
  /** The data folder's part for libraries. */
  readonly folder: string
  readonly library: LibraryPackage
  readonly source: PackageSource
  readonly signal: AbortSignal
  readonly onProgress?: (doneBytes: number, totalBytes: number | undefined) => void
}

/** An index, or the package's file, fetched elsewhere. */
export type PackageSource = { readonly index: string; readonly http: OutboundHttp } | { readonly file: string }

const CONNECTIONS = 4

/**
 * Fetches a package, goes on with what an earlier try has fetched, holds it against its checksum and unpacks the libraries. The folder has
 * its name when it is whole.
 * @returns the folder of the libraries
 * @throws AccelerationError
 */
export async function installLibraries(options: InstallOptions): Promise<string> {
  const { folder, library, source, signal } = options
  await mkdir(folder, { recursive: true })
  return withFileLock(join(folder, 'install.lock'), signal, async () => {
    if ('file' in source) {
      await requireChecksum(source.file, library)
      return unpack(source.file, options)
    }
    const fetched = join(folder, library.fileName)
    await fetchPackage(fetched, { ...options, source })
    const target = await unpack(fetched, options)
    await rm(fetched, { force: true })
    return target
  })
}

async function fetchPackage(
  target: string,
  {
    library,
    source,
    signal,
    onProgress,
  }: InstallOptions & { readonly source: { readonly index: string; readonly http: OutboundHttp } },
): Promise<void> {
  const { fileName, bytes, sha256 } = library
  if ((await hashOf(target)) === sha256) return
  const locate = async (stop: AbortSignal) => ({
    ...(await locateInIndex(source.http, source.index, library, stop)),
    size: bytes,
    acceptsRanges: true,
  })
  // Asked once here, so that an index that is away is one sentence and not a row of tries.
  await locate(signal)
  const partial = await PartialFile.open(`${target}.part`, sha256)
  try {
    await transfer(
      locate,
      partial,
      { algorithm: 'sha256', value: sha256 },
      {
        http: source.http,
        label: fileName,
        maxBytes: bytes,
        connections: CONNECTIONS,
        signal,
        ...(onProgress && { onProgress }),
      },
    )
  } catch (error) {
    await partial.keep()
    if (error instanceof ModelError && error.reason === 'corrupt') throw wrongChecksum(fileName, error)
    throw error instanceof ModelError ? new AccelerationError(error.message, { cause: error }) : error
  }
  await partial.place(target)
}

async function requireChecksum(path: string, { fileName, sha256 }: LibraryPackage): Promise<void> {
  const found = await hashOf(path)
  if (found === undefined) throw new AccelerationError(`There is no file ${path}.`)
  if (found !== sha256) throw wrongChecksum(fileName)
}

function wrongChecksum(fileName: string, cause?: unknown): AccelerationError {
  return new AccelerationError(
    `This is not the ${fileName} that Darkroom was tested with (its SHA-256 differs), so nothing was installed.`,
    {
      cause,
    },
  )
}

async function hashOf(path: string): Promise<string | undefined> {
  if (!(await stat(path).catch(() => undefined))?.isFile()) return undefined
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

async function unpack(path: string, { folder, library, signal }: InstallOptions): Promise<string> {
  const target = installedFolder(folder, library)
  const temporary = `${target}.${randomUUID()}.tmp`
  await mkdir(temporary, { recursive: true })
  try {
    const files = await unpackLibraries(path, temporary, library, signal)
    const missing = library.libraries.filter((name) => files[name] === undefined)
    if (missing.length > 0) throw new AccelerationError(`${library.fileName} lacks ${missing.join(', ')}.`)
    await writeFile(join(temporary, INSTALLATION_FILE), JSON.stringify({ files } satisfies Installation))
    await rm(target, { recursive: true, force: true })
    await rename(temporary, target)
    return target
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    if (!(error instanceof Error) || error instanceof AccelerationError || signal.aborted) throw error
    throw new AccelerationError(`${library.fileName} could not be unpacked (${error.message}).`, { cause: error })
  }
}

/** @returns bytes of each file */
async function unpackLibraries(
  path: string,
  target: string,
  { folder, libraries }: LibraryPackage,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const archive = await openPromise(path)
  const files: Record<string, number> = {}
  try {
    for await (const entry of archive.eachEntry()) {
      const name = libraries.find((each) => entry.fileName === `${folder}/${each}`)
      if (name === undefined) continue
      await pipeline(await archive.openReadStreamPromise(entry), createWriteStream(join(target, name)), { signal })
      files[name] = entry.uncompressedSize
    }
    return files
  } finally {
    archive.close()
  }
}
