/** Entry of the thread that looks at every pixel of large pictures. */
import { parentPort } from 'node:worker_threads'
import { resizeRgb } from '../image/resize.ts'
import { cannyEdges } from './canny.ts'
import type { PictureReply, PictureRequest, PictureTask } from './picture-thread.ts'

const port = parentPort
if (!port) throw new Error('picture-worker.ts is the entry of a worker thread')

/** Of the picture that is coming, or has come. */
let bytes = new Uint8Array()

port.on('message', (request: PictureRequest) => {
  if ('piece' in request) {
    if (request.at === 0) bytes = new Uint8Array(request.total)
    bytes.set(request.piece, request.at)
    return
  }
  const { id, task } = request
  const image = { ...task.image, data: bytes }
  bytes = new Uint8Array()
  try {
    const { width, height, data } = perform({ ...task, image })
    // The picture alone crosses over, not what it may be a part of.
    const own = data.byteLength === data.buffer.byteLength ? data : data.slice()
    port.postMessage({ id, picture: { width, height, data: own } } satisfies PictureReply, [own.buffer as ArrayBuffer])
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies PictureReply)
  }
})

function perform(task: PictureTask) {
  switch (task.type) {
    case 'canny':
      return cannyEdges(task.image, task.low, task.high)
    case 'resize':
      return resizeRgb(task.image, task.width, task.height, task.filter)
  }
}
