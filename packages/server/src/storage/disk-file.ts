import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ByteRange } from './object-store.ts'
import { StorageError } from './storage-error.ts'

const READ_BYTES = 64 * 1024

export interface WrittenFile {
  readonly size: number
  readonly sha256: string
}

/** Writes chunks as they come, never more than one in memory, and fsyncs unless told not to. */
export async function writeFileFrom(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  options: { readonly sync: boolean } = { sync: true },
): Promise<WrittenFile> {
  const file = await open(path, 'wx')
  try {
    const hash = createHash('sha256')
    const size = await writeChunks(file, chunks, hash)
    if (options.sync) await file.sync()
    return { size, sha256: hash.digest('hex') }
  } finally {
    await file.close()
  }
}

async function writeChunks(file: FileHandle, chunks: AsyncIterable<Uint8Array>, hash: Hash): Promise<number> {
  let size = 0
  for await (const chunk of chunks) {
    hash.update(chunk)
    for (let written = 0; written < chunk.byteLength; ) {
      written += (await file.write(chunk, written, chunk.byteLength - written)).bytesWritten
    }
    size += chunk.byteLength
  }
  return size
}

/** Reads an open file as a stream and closes it at the end, on an error and on cancel. */
export function streamFile(file: FileHandle, range: ByteRange): ReadableStream<Uint8Array> {
  let position = range.start
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const wanted = Math.min(READ_BYTES, range.end + 1 - position)
          const { bytesRead, buffer } = await file.read(new Uint8Array(Math.max(wanted, 0)), 0, wanted, position)
          position += bytesRead
          if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead))
          if (bytesRead < wanted) throw new StorageError('unavailable', 'the file on disk is shorter than its metadata')
          if (position > range.end) {
            await file.close()
            controller.close()
          }
        } catch (error) {
          await file.close()
          throw error
        }
      },
      cancel: () => file.close(),
    },
    { highWaterMark: 0 },
  )
}

/**
 * Makes the folder, and each name on the way to it durable where it was new. Not `mkdir` with `recursive`: that reports
 * a read-only disk as ENOENT (Node 20).
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return
    if (errorCode(error) !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder))
    return makeFolder(folder)
  }
  await syncFolder(dirname(folder))
}

/** Makes names created in, renamed to and removed from a folder survive a power loss. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders and needs no such step.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Removes a file that may be gone already. `rm` with `force` does the same at several times the cost. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** Names in a folder; none when there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Whether a file or folder was last changed before a time, in milliseconds since 1970; one that has just been removed was not. */
export async function isOlder(path: string, epochMs: number): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < epochMs
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

export function isMissing(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Turns an operating-system error into one that says what to do; everything else is returned as it is. */
export function diskFailure(error: unknown, root: string): unknown {
  switch (errorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new StorageError(
        'no_space',
        `no space left for files in ${root}: free some or move the data folder`,
        error,
      )
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new StorageError('read_only', `cannot write in ${root}: it is read-only or belongs to another user`, error)
    case 'EIO':
    case 'EMFILE':
    case 'ENFILE':
    case 'ESTALE':
      return new StorageError('unavailable', `reading or writing files in ${root} failed: ${String(error)}`, error)
    default:
      return error
  }
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
