import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { ResampleFilter } from '../image/resample-filter.ts'
import { resizeRgb } from '../image/resize.ts'
import type { GreyImage, RgbImage } from '../image/rgb-image.ts'
import { cannyEdges } from './canny.ts'

/** What is done to one picture; the answer has the same or fewer channels. */
export type PictureTask =
  | { readonly type: 'canny'; readonly image: RgbImage; readonly low: number; readonly high: number }
  | {
      readonly type: 'resize'
      readonly image: RgbImage
      readonly width: number
      readonly height: number
      readonly filter: ResampleFilter
    }

/** The bytes of a task's picture come first, in pieces; the task itself has none of them. */
export type PictureRequest =
  | { readonly piece: Uint8Array; readonly at: number; readonly total: number }
  | { readonly id: number; readonly task: PictureTask }

export type PictureReply =
  | { readonly id: number; readonly picture: GreyImage | RgbImage }
  | { readonly id: number; readonly error: string }

/** Pictures up to here take less time than it takes to hand them over: some ten milliseconds. */
const WITHOUT_THREAD_PIXELS = 512 * 512

/** Bytes of a picture that are handed over at a time: a millisecond. */
const PIECE_BYTES = 4 * 1024 * 1024

interface Pending {
  resolve(picture: GreyImage | RgbImage): void
  reject(error: Error): void
}

/**
 * Work on every pixel of large pictures, on a thread of its own: the edges of 48 million pixels take two seconds, in which a process
 * that answers others must not stand still. So must it not while a picture is handed over: 64 million pixels are 192 MB, whose copy takes a
 * tenth of a second, and they may not be given away, for others look at them too. The thread starts with the first large picture and keeps
 * no process alive; it has one picture at a time.
 */
export class PictureThread {
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | undefined
  #count = 0
  #last: Promise<unknown> = Promise.resolve()
  #disposals = 0

  /** `cannyEdges`, of pictures of any size. */
  async canny(image: RgbImage, low = 100, high = 200): Promise<GreyImage> {
    if (isSmall(image)) return cannyEdges(image, low, high)
    return this.#run({ type: 'canny', image, low, high })
  }

  /** `resizeRgb`, of pictures of any size. */
  async resize(image: RgbImage, width: number, height: number, filter: ResampleFilter): Promise<RgbImage> {
    if (isSmall(image) && width * height <= WITHOUT_THREAD_PIXELS) return resizeRgb(image, width, height, filter)
    return this.#run({ type: 'resize', image, width, height, filter })
  }

  async dispose(): Promise<void> {
    const worker = this.#worker
    this.#disposals += 1
    if (worker) this.#lose(worker, 'was disposed of')
    await worker?.terminate()
  }

  #run(task: PictureTask): Promise<GreyImage | RgbImage> {
    const disposals = this.#disposals
    const done = this.#last.then(() => {
      if (this.#disposals !== disposals) throw new Error(lost('was disposed of'))
      return this.#handOver(task)
    })
    this.#last = done.catch(() => undefined)
    return done
  }

  async #handOver(task: PictureTask): Promise<GreyImage | RgbImage> {
    const id = ++this.#count
    this.#worker ??= this.#start()
    const worker = this.#worker
    const done = new Promise<GreyImage | RgbImage>((resolve, reject) => this.#pending.set(id, { resolve, reject }))
    // The thread may be lost before anybody waits for it below.
    done.catch(() => undefined)
    worker.ref()
    const { data } = task.image
    for (let at = 0; at < data.length && this.#pending.has(id); at += PIECE_BYTES) {
      const piece = new Uint8Array(data.subarray(at, at + PIECE_BYTES))
      worker.postMessage({ piece, at, total: data.length } satisfies PictureRequest, [piece.buffer])
      await nextTurn()
    }
    const image = { ...task.image, data: new Uint8Array() }
    worker.postMessage({ id, task: { ...task, image } } satisfies PictureRequest)
    return done
  }

  #start(): Worker {
    const worker = new Worker(workerModule())
    worker.unref()
    worker.on('message', (reply: PictureReply) => this.#settle(reply))
    worker.on('error', (error) => this.#lose(worker, `stopped: ${error.message}`))
    worker.on('exit', (code) => this.#lose(worker, `ended with code ${code}`))
    return worker
  }

  #settle(reply: PictureReply): void {
    const pending = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    if (this.#pending.size === 0) this.#worker?.unref()
    if ('picture' in reply) pending?.resolve(reply.picture)
    else pending?.reject(new Error(`cannot work on the picture: ${reply.error}`))
  }

  #lose(worker: Worker, reason: string): void {
    // One that was given up may end after the next one began.
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const { reject } of this.#pending.values()) reject(new Error(lost(reason)))
    this.#pending.clear()
  }
}

function lost(reason: string): string {
  return `the thread that works on pictures ${reason}`
}

function isSmall({ width, height }: RgbImage): boolean {
  return width * height <= WITHOUT_THREAD_PIXELS
}

/** In sources a module that registers tsx first; what is compiled needs none. */
function workerModule(): URL {
  const name = import.meta.url.endsWith('.ts') ? './picture-worker.mjs' : './picture-worker.js'
  return new URL(name, import.meta.url)
}
