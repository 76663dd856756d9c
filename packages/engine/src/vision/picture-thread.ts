import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { decodeImage, ImageDecodeError, imagePixels } from '../image/decode.ts'
import { greyToRgb } from '../image/grey.ts'
import type { Size } from '../image/pixel-values.ts'
import type { ResampleFilter } from '../image/resample-filter.ts'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { cannyEdges } from './canny.ts'
import { type DepthMap, depthImage } from './depth-image.ts'
import type { Pose } from './pose.ts'
import { drawPoseMask, drawPoses, type MaskPart, type PosePart } from './pose-drawing.ts'

/** What is done to one picture, or to the file that holds it. */
export type PictureTask =
  | { readonly type: 'decode'; readonly file: Uint8Array }
  | { readonly type: 'canny'; readonly image: RgbImage; readonly low: number; readonly high: number }
  | {
      readonly type: 'resize'
      readonly image: RgbImage
      readonly width: number
      readonly height: number
      readonly filter: ResampleFilter
    }
  | { readonly type: 'depth'; readonly map: DepthMap; readonly size: Size }
  | {
      readonly type: 'poses'
      readonly poses: readonly Pose[]
      readonly size: Size
      readonly parts: readonly PosePart[]
    }
  | {
      readonly type: 'pose-mask'
      readonly poses: readonly Pose[]
      readonly size: Size
      readonly parts: readonly MaskPart[]
    }

/** The bytes of a task's picture come first, in pieces, unless both threads see them; the task itself has none of them then. */
export type PictureRequest =
  | { readonly piece: Uint8Array; readonly at: number; readonly total: number }
  | { readonly id: number; readonly task: PictureTask }

export type PictureReply =
  | { readonly id: number; readonly picture: RgbImage }
  | { readonly id: number; readonly error: string; readonly unreadable?: ImageDecodeError['reason'] }

/** Pictures up to here take less time than it takes to hand them over: some ten milliseconds. */
const WITHOUT_THREAD_PIXELS = 512 * 512

/** Work on larger ones takes up to seconds: what a camera makes does not wait for them. */
const USUAL_PIXELS = 16_000_000

/** Bytes of a picture that are handed over at a time: a millisecond. */
const PIECE_BYTES = 1024 * 1024

/**
 * Work on every pixel of large pictures, on threads of its own: the edges of 48 million pixels take two seconds, in which a process that
 * answers others must not stand still. There are two threads, one of them for the largest pictures alone, each with one picture at a time:
 * nobody waits for 64 million pixels but who sends as many. They start with the first large picture and keep no process alive.
 */
export class PictureThread {
  readonly #usual = new Lane()
  readonly #largest = new Lane()

  /** `decodeImage`, of files of any size; both threads see a large picture, so that nothing of it is ever copied here. */
  async decode(file: Uint8Array): Promise<RgbImage> {
    const pixels = await imagePixels(file)
    if (pixels <= WITHOUT_THREAD_PIXELS) return decodeImage(file)
    return this.#laneOf(pixels).run({ type: 'decode', file })
  }

  /** `cannyEdges` in three equal channels, of pictures of any size. */
  async canny(image: RgbImage, low = 100, high = 200): Promise<RgbImage> {
    if (isSmall(image)) return greyToRgb(cannyEdges(image, low, high))
    return this.#laneOf(pixelsOf(image)).run({ type: 'canny', image, low, high })
  }

  /** `resizeRgb`, of pictures of any size. */
  async resize(image: RgbImage, width: number, height: number, filter: ResampleFilter): Promise<RgbImage> {
    if (isSmall(image) && width * height <= WITHOUT_THREAD_PIXELS) return resizeRgb(image, width, height, filter)
    const lane = this.#laneOf(Math.max(pixelsOf(image), width * height))
    return lane.run({ type: 'resize', image, width, height, filter })
  }

  /** `depthImage`, of any size. */
  async depthImage(map: DepthMap, { width, height }: Size): Promise<RgbImage> {
    const size = { width, height }
    if (isSmall(size)) return depthImage(map, size)
    return this.#laneOf(pixelsOf(size)).run({ type: 'depth', map, size })
  }

  /** `drawPoses`, on a canvas of any size. */
  async drawPoses(poses: readonly Pose[], { width, height }: Size, parts: readonly PosePart[]): Promise<RgbImage> {
    const size = { width, height }
    if (isSmall(size)) return drawPoses(poses, size, parts)
    return this.#laneOf(pixelsOf(size)).run({ type: 'poses', poses, size, parts })
  }

  /** `drawPoseMask`, on a canvas of any size. */
  async drawPoseMask(poses: readonly Pose[], { width, height }: Size, parts: readonly MaskPart[]): Promise<RgbImage> {
    const size = { width, height }
    if (isSmall(size)) return drawPoseMask(poses, size, parts)
    return this.#laneOf(pixelsOf(size)).run({ type: 'pose-mask', poses, size, parts })
  }

  async dispose(): Promise<void> {
    await Promise.all([this.#usual.dispose(), this.#largest.dispose()])
  }

  #laneOf(pixels: number): Lane {
    return pixels <= USUAL_PIXELS ? this.#usual : this.#largest
  }
}

interface Pending {
  resolve(picture: RgbImage): void
  reject(error: Error): void
}

/** One thread, which has one picture at a time. */
class Lane {
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | undefined
  #count = 0
  #last: Promise<unknown> = Promise.resolve()
  #disposals = 0

  run(task: PictureTask): Promise<RgbImage> {
    const disposals = this.#disposals
    const done = this.#last.then(() => {
      if (this.#disposals !== disposals) throw new Error(lost('was disposed of'))
      return this.#handOver(task)
    })
    this.#last = done.catch(() => undefined)
    return done
  }

  async dispose(): Promise<void> {
    const worker = this.#worker
    this.#disposals += 1
    if (worker) this.#lose(worker, 'was disposed of')
    await worker?.terminate()
  }

  async #handOver(task: PictureTask): Promise<RgbImage> {
    const id = ++this.#count
    this.#worker ??= this.#start()
    const worker = this.#worker
    const done = new Promise<RgbImage>((resolve, reject) => this.#pending.set(id, { resolve, reject }))
    // The thread may be lost before anybody waits for it below.
    done.catch(() => undefined)
    worker.ref()
    const bytes = bytesOf(task)
    if (bytes === undefined || isShared(bytes)) {
      worker.postMessage({ id, task } satisfies PictureRequest)
      return done
    }
    // They may not be given away, for others look at them too, and are not copied at once: 192 MB take a tenth of a second.
    for (let at = 0; at < bytes.length && this.#pending.has(id); at += PIECE_BYTES) {
      const piece = new Uint8Array(bytes.subarray(at, at + PIECE_BYTES))
      worker.postMessage({ piece, at, total: bytes.length } satisfies PictureRequest, [piece.buffer])
      await nextTurn()
    }
    worker.postMessage({ id, task: withBytes(task, new Uint8Array()) } satisfies PictureRequest)
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
    else if (reply.unreadable) pending?.reject(new ImageDecodeError(reply.unreadable, reply.error))
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

function pixelsOf({ width, height }: Size): number {
  return width * height
}

function isSmall(size: Size): boolean {
  return pixelsOf(size) <= WITHOUT_THREAD_PIXELS
}

/** Whether other threads see the same memory. */
export function isShared({ buffer }: Uint8Array): boolean {
  return buffer instanceof SharedArrayBuffer
}

/** Of the picture or the file that a task works on; what makes a new picture has none. */
export function bytesOf(task: PictureTask): Uint8Array | undefined {
  if (task.type === 'decode') return task.file
  return 'image' in task ? task.image.data : undefined
}

/** The task with other bytes for its picture or its file. */
export function withBytes(task: PictureTask, data: Uint8Array): PictureTask {
  if (task.type === 'decode') return { ...task, file: data }
  return 'image' in task ? { ...task, image: { ...task.image, data } } : task
}

/** In sources a module that registers tsx first; what is compiled needs none. */
function workerModule(): URL {
  const name = import.meta.url.endsWith('.ts') ? './picture-worker.mjs' : './picture-worker.js'
  return new URL(name, import.meta.url)
}
