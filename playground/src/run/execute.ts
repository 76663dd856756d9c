import { ApiError } from '@fal-ai/client'
import { fal, notesOf } from '../api/connection.ts'
import { picturesOf } from '../api/pictures.ts'
import { fieldErrorsOf, NO_ERRORS } from '../schema/field-errors.ts'
import type { Input } from '../schema/starting-input.ts'
import { type ActiveRun, type FailedRun, type FinishedRun, type LogLine, progressOf, STARTING } from './run-state.ts'

export interface RunRequest {
  readonly endpointId: string
  readonly input: Input
  readonly onChange: (run: ActiveRun) => void
}

interface StreamRequest extends RunRequest {
  readonly signal: AbortSignal
}

type Endpoint = Parameters<typeof fal.subscribe>[0]

/** Sends a request through the durable queue and follows it. */
export async function runThroughQueue({ endpointId, input, onChange }: RunRequest): Promise<FinishedRun> {
  const startedAt = performance.now()
  let run = STARTING
  const change = (part: Partial<ActiveRun>) => {
    run = { ...run, ...part }
    onChange(run)
  }
  change({})
  const { data, requestId } = await fal.subscribe(endpointId as Endpoint, {
    input,
    logs: true,
    mode: 'streaming',
    onEnqueue: (id) => change({ phase: 'queued', requestId: id }),
    onQueueUpdate(update) {
      if (update.status === 'IN_QUEUE') change({ phase: 'queued', position: update.queue_position })
      if (update.status === 'IN_PROGRESS') {
        // The client gives the same list each time, with what came since at its end.
        const logs: readonly LogLine[] = [...(update.logs ?? [])]
        change({ phase: 'running', position: undefined, logs, progress: progressOf(logs) })
      }
    },
  })
  return finished(endpointId, input, requestId, data, startedAt)
}

/** Sends a request as a stream, whose events are the picture as it comes to be. It is not kept in the queue. */
export async function runAsStream({ endpointId, input, signal, onChange }: StreamRequest): Promise<FinishedRun> {
  const startedAt = performance.now()
  onChange(STARTING)
  const stream = await fal.stream(endpointId, { input })
  const abort = () => stream.abort()
  signal.addEventListener('abort', abort)
  // While the page was being left, for instance.
  if (signal.aborted) abort()
  try {
    for await (const event of stream) {
      onChange({ ...STARTING, phase: 'running', preview: picturesOf(event) })
    }
    signal.throwIfAborted()
    return finished(endpointId, input, stream.requestId ?? '', await stream.done(), startedAt)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function finished(
  endpointId: string,
  input: Input,
  requestId: string,
  output: unknown,
  startedAt: number,
): FinishedRun {
  return {
    requestId,
    endpointId,
    input,
    output,
    pictures: picturesOf(output),
    seconds: (performance.now() - startedAt) / 1000,
    model: notesOf(requestId).model,
  }
}

/** Asks the server to stop; one that has been answered meanwhile needs no stopping. */
export async function cancel(endpointId: string, requestId: string): Promise<void> {
  await fal.queue.cancel(endpointId, { requestId }).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.status === 400)) throw error
  })
}

/** What a person is told of a failure. */
export function failureOf(error: unknown): FailedRun {
  if (error instanceof ApiError) {
    const body: unknown = error.body
    const fields = error.status === 422 ? fieldErrorsOf(body) : NO_ERRORS
    if (error.status === 401) return { message: `The server wants a key: ${textOf(body) ?? error.message}`, fields }
    if (fields.size > 0) return { message: 'Some fields are not valid.', fields }
    return { message: textOf(body) ?? error.message, fields }
  }
  return { message: error instanceof Error ? error.message : String(error), fields: NO_ERRORS }
}

function textOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('detail' in body)) return undefined
  return typeof body.detail === 'string' ? body.detail : undefined
}
