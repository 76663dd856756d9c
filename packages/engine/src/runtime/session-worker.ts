/** Entry of a thread that owns sessions: onnxruntime's create and run, and OpenVINO's compiling, block the thread they are called on. */
import { MessageChannel, parentPort } from 'node:worker_threads'
import type { Tensor } from '../tensor/tensor.ts'
import { type NativeSession, RunCancelledError } from './native-session.ts'

import { createOrtSession } from './ort-session.ts'
import { OutOfMemoryError } from './session.ts'
import type { CancelMessage, ReplyMessage, RequestMessage, SessionRequest } from './session-protocol.ts'

const port = parentPort
if (!port) throw new Error('session-worker.ts is the entry of a worker thread')

const sessions = new Map<number, NativeSession>()
/** Names of the sessions' inputs. */
const inputs = new Map<number, readonly string[]>()
/** Requests that were asked to end before their turn came. */
const cancelled = new Set<number>()
let running: { readonly id: number; readonly session: NativeSession } | undefined
/** Feeds that stay here from run to run. */
const places = new Map<string, Readonly<Record<string, Tensor>>>()
let previous: Promise<void> = Promise.resolve()

port.on('message', (message: RequestMessage | CancelMessage) => {
  if ('cancel' in message) cancel(message.cancel)
  else previous = previous.then(() => answer(message))
})

function cancel(id: number): void {
  if (running?.id === id) running.session.cancel?.()
  else cancelled.add(id)
}

async function answer({ id, request }: RequestMessage): Promise<void> {
  try {
    if (cancelled.has(id)) throw new RunCancelledError('the run was cancelled')
    const results = await perform(request, id)
    const buffers = Object.values(results).map(({ data }) => data.buffer as ArrayBuffer)
    port?.postMessage({ id, results } satisfies ReplyMessage, [...new Set(buffers)])
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    port?.postMessage({ id, error: { message, kind: kindOf(error) } } satisfies ReplyMessage)
  } finally {
    running = undefined
    // A cancel that came after the last run's end is of no request that is still to come.
    for (const past of cancelled) if (past <= id) cancelled.delete(past)
  }
}

function kindOf(error: unknown): 'memory' | 'cancelled' | 'other' {
  if (error instanceof OutOfMemoryError) return 'memory'
  return error instanceof RunCancelledError ? 'cancelled' : 'other'
}

async function perform(request: SessionRequest, id: number): Promise<Record<string, Tensor>> {
  switch (request.type) {
    case 'create':
      sessions.set(request.session, await createSession(request))
      inputs.set(
        request.session,
        request.inputs.map(({ name }) => name),
      )
      return {}
    case 'run': {
      const session = sessions.get(request.session)
      if (!session) throw new Error('the session was released')
      running = { id, session }
      return session.run({ ...lastingFeeds(request), ...request.feeds })
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
      inputs.delete(request.session)
      await session?.release()
      return {}
    }
  }
}

/** What lies in the run's place, of that what the session takes. */
function lastingFeeds({ session, place }: SessionRequest & { type: 'run' }): Record<string, Tensor> {
  const lasting = place === undefined ? {} : (places.get(place) ?? {})
  const taken = (inputs.get(session) ?? []).flatMap((name) => (lasting[name] ? [[name, lasting[name]] as const] : []))
  return Object.fromEntries(taken)
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

async function createSession(request: SessionRequest & { readonly type: 'create' }): Promise<NativeSession> {
  const { model, outputs, options, openVino } = request
  if (openVino === undefined) return createOrtSession(model, outputs, options)
  // Loaded here and not above: koffi's native part is needed where OpenVINO is alone.
  const { createOpenVinoSession } = await import('./openvino/openvino-session.ts')
  return createOpenVinoSession(String(model.model), outputs, openVino)
}
