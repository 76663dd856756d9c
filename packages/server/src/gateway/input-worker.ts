/** Entry of the thread that reads long inputs. */
import { parentPort } from 'node:worker_threads'
import { WireError } from '../errors/errors.ts'
import type { ParsedJson } from '../protocol/json-parse.ts'
import { JsonInput, readJsonBody } from '../validation/json-input.ts'
import { type InputReply, type InputTask, type ReadInput, transferable } from './input-thread.ts'
import { decodeFrame } from './realtime-frames.ts'

const port = parentPort
if (!port) throw new Error('input-worker.ts is the entry of a worker thread')

port.on('message', ({ id, task }: { readonly id: number; readonly task: InputTask }) => {
  const reply: InputReply = { id, ...answer(task) }
  // Byte strings of a frame are parts of it.
  port.postMessage(reply, task.kind === 'frame' && reply.read !== undefined ? transferable(task.data) : [])
})

function answer(task: InputTask): Omit<InputReply, 'id'> {
  try {
    return { read: read(task) }
  } catch (error) {
    if (error instanceof WireError) return { refused: { status: error.status, detail: error.detail } }
    return { failed: error instanceof Error ? error.message : String(error) }
  }
}

function read(task: InputTask): ReadInput {
  if (task.kind === 'frame') {
    const { input, requestId } = decodeFrame(task)
    if (!(input instanceof JsonInput)) return { value: onlyKnown(input, task.fields), requestId }
    // Frames are not kept.
    return { text: '', value: onlyKnown(input.value, task.fields), requestId }
  }
  const { text, value: whole } = readJsonBody(task.data, task.contentType)
  const value = onlyKnown(whole, task.fields) as ParsedJson
  if (task.wanted === 'text') return { text, value: cut(value) }
  return { text: text.length > (task.mostText ?? text.length) ? '' : text, value }
}

/** Of a hundred thousand members those that somebody asks for; what has none is left as it is. */
function onlyKnown(value: unknown, fields: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) return value
  const known = fields.filter((field) => Object.hasOwn(value, field))
  return Object.fromEntries(known.map((field) => [field, Reflect.get(value, field)]))
}

/** Longer than any URL that is fetched. */
const LONGEST_KEPT = 16 * 1024

/** What is stored as text is looked at for its URLs alone: files in it need not cross over a second time. */
function cut(value: ParsedJson): ParsedJson {
  if (typeof value === 'string') return value.slice(0, LONGEST_KEPT)
  if (Array.isArray(value)) return value.map(cut)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, cut(member)]))
}
