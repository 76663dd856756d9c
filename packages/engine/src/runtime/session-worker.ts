/** Entry of the thread that owns the sessions: onnxruntime's create and run block the thread they are called on. */
import { MessageChannel, parentPort } from 'node:worker_threads'
import type { Tensor } from '../tensor/tensor.ts'
import { createOrtSession, type OrtSession } from './ort-session.ts'
import { OutOfMemoryError } from './session.ts'
import type { ReplyMessage, RequestMessage, SessionRequest } from './session-protocol.ts'

const port = parentPort
if (!port) throw new Error('session-worker.ts is the entry of a worker thread')

const sessions = new Map<number, OrtSession>()
/** Feeds that stay here from run to run. */
const places = new Map<string, Readonly<Record<string, Tensor>>>()
let previous: Promise<void> = Promise.resolve()

port.on('message', (message: RequestMessage) => {
  previous = previous.then(() => answer(message))
})

async function answer({ id, request }: RequestMessage): Promise<void> {
  try {
    const results = await perform(request)
    const buffers = Object.values(results).map(({ data }) => data.buffer as ArrayBuffer)
    port?.postMessage({ id, results } satisfies ReplyMessage, [...new Set(buffers)])
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    port?.postMessage({ id, error: { message, outOfMemory: error instanceof OutOfMemoryError } } satisfies ReplyMessage)
  }
}

async function perform(request: SessionRequest): Promise<Record<string, Tensor>> {
  switch (request.type) {
    case 'create':
      sessions.set(request.session, await createOrtSession(request.model, request.outputs, request.options))
      return {}
    case 'run': {
      const session = sessions.get(request.session)
      if (!session) throw new Error('the session was released')
      return session.run({ ...places.get(request.place ?? ''), ...request.feeds })
    }
    case 'place': {
      clear(request.place)
      places.set(request.place, request.tensors)
      return {}
    }
    case 'clear': {
      clear(request.place)
      return {}
    }
    case 'release': {
      const session = sessions.get(request.session)
      sessions.delete(request.session)
      await session?.release()
      return {}
    }
  }
}

/** Gives memory back now: the garbage collector would do it when it next runs, some sets of LoRA factors later. */
function clear(place: string): void {
  const buffers = new Set(Object.values(places.get(place) ?? {}).map(({ data }) => data.buffer as ArrayBuffer))
  places.delete(place)
  const { port1, port2 } = new MessageChannel()
  // What is moved to a port that nobody listens to is gone.
  port2.close()
  port1.postMessage(null, [...buffers])
  port1.close()
}
