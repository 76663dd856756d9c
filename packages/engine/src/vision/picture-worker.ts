/** Entry of the threads that look at every pixel of large pictures. */
import { parentPort } from 'node:worker_threads'
import { decodeImage, ImageDecodeError } from '../image/decode.ts'
import { greyToRgb } from '../image/grey.ts'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { cannyEdges } from './canny.ts'
import { depthImage } from './depth-image.ts'
import {
  bytesOf,
  isShared,
  type PictureReply,
  type PictureRequest,
  type PictureTask,
  withBytes,
} from './picture-thread.ts'
import { drawPoseMask, drawPoses } from './pose-drawing.ts'

const port = parentPort
if (!port) throw new Error('picture-worker.ts is the entry of a worker thread')

/** Of the picture or file that is coming, or has come. */
let bytes = new Uint8Array()

port.on('message', async (request: PictureRequest) => {
  if ('piece' in request) {
    if (request.at === 0) bytes = new Uint8Array(request.total)
    bytes.set(request.piece, request.at)
    return
  }
  const { id, task } = request
  const own = bytesOf(task)
  const whole = own !== undefined && isShared(own) ? task : withBytes(task, bytes)
  bytes = new Uint8Array()
  try {
    reply({ id, picture: await perform(whole) })
  } catch (error) {
    const unreadable = error instanceof ImageDecodeError ? { unreadable: error.reason } : {}
    reply({ id, error: error instanceof Error ? error.message : String(error), ...unreadable })
  }
})

function reply(message: PictureReply): void {
  const buffer = 'picture' in message ? message.picture.data.buffer : undefined
  port?.postMessage(message, buffer instanceof ArrayBuffer ? [buffer] : [])
}

async function perform(task: PictureTask): Promise<RgbImage> {
  switch (task.type) {
    case 'decode':
      return inShared(await decodeImage(task.file))
    case 'canny':
      return inShared(greyToRgb(cannyEdges(task.image, task.low, task.high)))
    case 'resize':
      return alone(resizeRgb(task.image, task.width, task.height, task.filter))
    case 'depth':
      return inShared(depthImage(task.map, task.size))
    case 'poses':
      return inShared(drawPoses(task.poses, task.size, task.parts))
    case 'pose-mask':
      return inShared(drawPoseMask(task.poses, task.size, task.parts))
  }
}

/** In memory that both threads see: such pictures are looked at by several, and come back here to be resampled. */
function inShared({ width, height, data }: RgbImage): RgbImage {
  const shared = new Uint8Array(new SharedArrayBuffer(data.byteLength))
  shared.set(data)
  return { width, height, data: shared }
}

/** The picture alone crosses over, not what it may be a part of. */
function alone({ width, height, data }: RgbImage): RgbImage {
  return { width, height, data: data.byteLength === data.buffer.byteLength ? data : data.slice() }
}
