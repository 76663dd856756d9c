import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'

/** A file's hash as a hub names its blobs. */
export interface ContentHash {
  /** `git-sha1`: SHA-1 of git's blob header and the bytes, as small files are named. */
  readonly algorithm: 'sha256' | 'git-sha1'
  /** Lower-case hexadecimal. */
  readonly value: string
}

/** Starting a thread takes longer than hashing this much. */
const WITHOUT_THREAD_BYTES = 16 * 1024 * 1024
/** A message wakes the thread, which costs more than hashing a few writes late. */
const ANNOUNCED_BYTES = 8 * 1024 * 1024

/**
 * Hashes a file from its start while it grows, on a thread of its own where it is large: hashed after the download, a checkpoint
 * would take as long again as its transfer through a fast network.
 */
export class GrowingFileHash {
  readonly #algorithm: 'sha256' | 'sha1'
  readonly #prefix: string
  readonly #handle: FileHandle
  readonly #size: number
  readonly #worker: Worker | undefined
  #failure: Promise<never> | undefined
  #announced = 0

  /** @param size bytes of the whole file */
  constructor(handle: FileHandle, size: number, algorithm: ContentHash['algorithm']) {
    this.#handle = handle
    this.#size = size
    this.#algorithm = algorithm === 'sha256' ? 'sha256' : 'sha1'
    this.#prefix = algorithm === 'git-sha1' ? `blob ${size}\0` : ''
    if (size <= WITHOUT_THREAD_BYTES) return
    this.#worker = new Worker(new URL('./hash-worker.mjs', import.meta.url), {
      workerData: { descriptor: handle.fd, algorithm: this.#algorithm, prefix: this.#prefix },
    })
    this.#worker.unref()
    this.#failure = new Promise((_, reject) => this.#worker?.once('error', reject))
    this.#failure.catch(() => {})
  }

  /** Says that the bytes before `length` are written. */
  grow(length: number): void {
    if (length - this.#announced < ANNOUNCED_BYTES) return
    this.#announced = length
    this.#worker?.postMessage({ upTo: length, end: false })
  }

  /** The hash of the whole file, in hexadecimal. The file must still be open. */
  async digest(): Promise<string> {
    const worker = this.#worker
    if (worker === undefined) return this.#digestHere()
    const answer = new Promise<string>((resolve) => worker.once('message', resolve))
    // A command that waits for nothing else must not end before it has the answer.
    worker.ref()
    worker.postMessage({ upTo: this.#size, end: true })
    return this.#failure === undefined ? answer : Promise.race([answer, this.#failure])
  }

  /** Stops the thread; after this the file may be closed. */
  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  async #digestHere(): Promise<string> {
    const hash = createHash(this.#algorithm).update(this.#prefix)
    const buffer = Buffer.allocUnsafe(Math.min(this.#size, 1024 * 1024) + 1)
    for (let position = 0; position < this.#size; ) {
      const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(buffer.length, this.#size - position), position)
      if (bytesRead === 0) throw new Error('the file is shorter than what was written to it')
      hash.update(buffer.subarray(0, bytesRead))
      position += bytesRead
    }
    return hash.digest('hex')
  }
}
