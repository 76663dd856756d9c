import { Worker } from 'node:worker_threads'
import { WireError } from '../errors/errors.ts'
import type { ParsedJson } from '../protocol/json-parse.ts'
import { JsonInput, readJsonBody } from '../validation/json-input.ts'
import { SharedSlots } from '../waiting/shared-slots.ts'
import { decodeFrame, type Frame, type FrameInput } from './realtime-frames.ts'

/** What is read: a JSON body, or a message of a realtime socket. */
export type InputTask = {
  /** Members of the value that anybody looks at: the others do not cross over, which a hundred thousand would take long for. */
  readonly fields: readonly string[]
} & (
  | {
      readonly kind: 'body'
      readonly data: Uint8Array
      readonly contentType: string | undefined
      /**
       * `text`: it is stored, and the value is only looked at for URLs: long strings in it are cut. `value`: it is worked with, and a text
       * of more characters than `mostText` is left empty.
       */
      readonly wanted: 'text' | 'value'
      readonly mostText?: number
    }
  | ({ readonly kind: 'frame' } & Frame)
)

/** `text` is that of JSON. */
export interface ReadInput {
  readonly text?: string
  readonly value: unknown
  readonly requestId?: unknown
}

export interface InputReply {
  readonly id: number
  readonly read?: ReadInput
  readonly refused?: { readonly status: number; readonly detail: WireError['detail'] }
  readonly failed?: string
}

/** Shorter inputs are read in some milliseconds, whatever they hold. */
const WITHOUT_THREAD_BYTES = 64 * 1024

interface Pending {
  resolve(input: ReadInput): void
  reject(error: Error): void
}

/**
 * Reads inputs, long ones on threads of their own: 96 MB of JSON take up to a second, in which this process must answer others. There are
 * two threads and an account has one of them at a time, so that nobody waits for all that another sends.
 */
export class InputThreads {
  readonly #slots = new SharedSlots({ total: 2, shares: { account: 1 }, turnsOf: 'account' })
  readonly #threads = new Set<InputThread>()
  readonly #idle: InputThread[] = []
  #closed = false

  /** As `readJsonBody`; long bytes are gone from this thread. @throws also the signal's reason */
  async readBody(
    account: string,
    body: Omit<Extract<InputTask, { kind: 'body' }>, 'kind'>,
    signal: AbortSignal,
  ): Promise<JsonInput> {
    if (body.data.byteLength <= WITHOUT_THREAD_BYTES) return readJsonBody(body.data, body.contentType)
    const { text, value } = await this.#read(account, { kind: 'body', ...body }, signal)
    return new JsonInput(text ?? '', value as ParsedJson)
  }

  /** As `decodeFrame`; long bytes are gone from this thread. @throws also the signal's reason */
  async readFrame(
    account: string,
    { fields, ...frame }: Frame & Pick<InputTask, 'fields'>,
    signal: AbortSignal,
  ): Promise<FrameInput> {
    if (frame.data.byteLength <= WITHOUT_THREAD_BYTES) return decodeFrame(frame)
    const { text, value, requestId } = await this.#read(account, { kind: 'frame', fields, ...frame }, signal)
    return { input: text === undefined ? value : new JsonInput(text, value as ParsedJson), requestId }
  }

  /** Starts a thread, which takes a second in a clone, before somebody has to wait for it. Does nothing once one runs. */
  async warmUp(): Promise<void> {
    if (this.#threads.size > 0) return
    const body = { data: new TextEncoder().encode('{}'), contentType: undefined, wanted: 'value', fields: [] } as const
    await this.#read('', { kind: 'body', ...body }, new AbortController().signal)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#threads].map((thread) => thread.close()))
  }

  #read(account: string, task: InputTask, signal: AbortSignal): Promise<ReadInput> {
    return this.#slots.run({ account }, signal, async () => {
      if (this.#closed) throw new Error('an input could not be read: the server has stopped')
      const thread = this.#idle.pop() ?? new InputThread()
      this.#threads.add(thread)
      try {
        return await thread.read(task)
      } finally {
        this.#idle.push(thread)
      }
    })
  }
}

/** One thread, which reads one input at a time; it starts with the first and keeps no process alive. */
class InputThread {
  #worker: Worker | undefined
  #pending: Pending | undefined
  #count = 0

  read(task: InputTask): Promise<ReadInput> {
    const id = ++this.#count
    this.#worker ??= this.#start()
    const worker = this.#worker
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      worker.ref()
      worker.postMessage({ id, task }, transferable(task.data))
    })
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(workerModule())
    worker.on('message', (reply: InputReply) => {
      worker.unref()
      if (reply.id === this.#count) this.#settle(reply)
    })
    worker.on('error', (error) => this.#lose(worker, error.message))
    worker.on('exit', (code) => this.#lose(worker, `code ${code}`))
    return worker
  }

  #settle({ read, refused, failed }: Omit<InputReply, 'id'>): void {
    const pending = this.#pending
    this.#pending = undefined
    if (read !== undefined) pending?.resolve(read)
    else if (refused !== undefined) pending?.reject(new WireError(refused.status, refused.detail))
    else pending?.reject(new Error(`an input could not be read: ${failed}`))
  }

  #lose(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#settle({ failed: `its thread ended (${reason})` })
  }
}

/** Bytes that nobody else has any of go over as they are, and are gone here. */
export function transferable({ buffer, byteLength }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : []
}

/** In sources a module that registers tsx first; what is compiled needs none. */
function workerModule(): URL {
  const name = import.meta.url.endsWith('.ts') ? './input-worker.mjs' : './input-worker.js'
  return new URL(name, import.meta.url)
}
