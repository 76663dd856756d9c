import type { HandlerContext, RunnableEndpoint } from '../endpoints/endpoint.ts'
import { toErrorAnswer } from '../errors/error-answer.ts'
import { type RequestErrorType, requestError, WireError } from '../errors/errors.ts'
import { omitNulls } from './omit-nulls.ts'
import { type StopKind, StopReason } from './stop-reason.ts'

/** What working on one input ended with, before it becomes JSON text (queue) or a frame (direct channel). */
export interface HandlerResult {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The output, or an error body. */
  readonly output: unknown
  /** Set when the request failed for a reason that is not the model's. */
  readonly error?: { readonly message: string; readonly type: string }
  readonly inferenceSeconds?: number
  /** Another attempt may succeed: what failed was the machine (no memory, no device), not the input. */
  readonly retryable?: boolean
}

export interface HandlerRun {
  readonly endpoint: RunnableEndpoint
  /** The validated input. @throws WireError 422 */
  readonly readInput: (endpoint: RunnableEndpoint) => unknown
  /** The context but for the headers, which are collected here. Its signal is aborted with a `StopReason`. */
  readonly context: Omit<HandlerContext, 'setHeader' | 'record'>
  /** Waits for the device. @throws the signal's reason */
  readonly takeTurn: () => Promise<void>
  /** Whether pictures are to carry the request that they come from. */
  readonly recordsRequests: boolean
  /** `exact`, or what draws nearly the same faster: the log and the picture's record say so then. */
  readonly precision: string
  /** Called when the request has its turn and begins to draw. */
  readonly onStarted: () => void
  readonly onPartial: (output: unknown) => void
  /** Told of errors that are nobody's answer: defects of the handler. */
  readonly onDefect: (error: unknown) => void
}

/**
 * Validates an input, lets the endpoint's handler prepare, waits for the device, draws, and turns whatever happens into an answer; never
 * throws. A handler that ignores an abort and finishes keeps its result, as fal has it.
 */
export async function runHandler(run: HandlerRun): Promise<HandlerResult> {
  const headers: Record<string, string> = {}
  const setHeader = (name: string, value: string) => {
    headers[name.toLowerCase()] = value
  }
  try {
    const input = run.readInput(run.endpoint)
    const other = run.precision === 'exact' ? {} : { precision: run.precision }
    const record = run.recordsRequests && { record: { endpointId: run.endpoint.schema.id, ...other, input } }
    const reading = readingAhead(run.context)
    const drawing = await run.endpoint.handler(input, { ...run.context, ...reading.context, ...record, setHeader })
    await run.takeTurn()
    reading.end()
    run.onStarted()
    const startedAt = performance.now()
    if (other.precision !== undefined) run.context.log(`Precision: ${other.precision}`)
    const output = await drive(drawing, run.onPartial)
    return { status: 200, headers, output, inferenceSeconds: (performance.now() - startedAt) / 1000 }
  } catch (error) {
    return failedResult(answerable(error, run), headers)
  }
}

type Reading = Pick<HandlerContext, 'readFile' | 'openOwnFile'>

/** Input files are read before the device is taken: a handler that reads one while it draws would have everybody wait for a slow server. */
function readingAhead(context: Reading): { readonly context: Reading; end(): void } {
  let ended = false
  const requireAhead = () => {
    if (ended) throw new Error('an input file is read while its request draws: read it before the drawing is returned')
  }
  return {
    context: {
      readFile: async (...file) => {
        requireAhead()
        return context.readFile(...file)
      },
      openOwnFile: async (...file) => {
        requireAhead()
        return context.openOwnFile(...file)
      },
    },
    end() {
      ended = true
    },
  }
}

async function drive(steps: AsyncGenerator<unknown, unknown>, onPartial: (output: unknown) => void): Promise<unknown> {
  for (;;) {
    const step = await steps.next()
    if (step.done === true) return omitNulls(step.value)
    onPartial(omitNulls(step.value))
  }
}

/** What was thrown after an abort is the abort, in whatever shape the handler let it through. */
function answerable(error: unknown, run: HandlerRun): unknown {
  if (error instanceof WireError) return error
  const { signal } = run.context
  if (signal.aborted) return stopError(signal.reason, error)
  run.onDefect(error)
  return error
}

const ERROR_OF_STOP: Readonly<Record<StopKind, RequestErrorType>> = {
  cancelled: 'client_cancelled',
  'run-timeout': 'request_timeout',
  shutdown: 'runner_disconnected',
}

/** The answer to a request that was stopped. */
export function stopError(reason: unknown, cause?: unknown): WireError {
  if (!(reason instanceof StopReason)) return requestError('client_cancelled', 'The request was cancelled', cause)
  return requestError(ERROR_OF_STOP[reason.kind], reason.message, cause)
}

/** An error as a result; headers that the handler had set stay beside the error's own. */
export function failedResult(error: unknown, headers: Readonly<Record<string, string>> = {}): HandlerResult {
  const answer = toErrorAnswer(error)
  const type = error instanceof WireError ? error.errorType : undefined
  return {
    status: answer.status,
    headers: { ...headers, ...answer.headers },
    output: answer.body,
    ...(type === undefined ? {} : { error: { message: String(answer.body.detail), type } }),
    // fal retries 503 and 504. A 504 of ours used up the whole run time: it would do so again, so it stands.
    retryable: answer.status === 503,
  }
}
