import type { ConversationOptions } from '../channel/direct-channel.ts'
import type { ArithmeticName, EndpointSchema, HandlerContext, RunnableEndpoint } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import type { ProcessLog } from '../log/process-log.ts'
import { BILLABLE_UNITS, DEVICE, PRECISION } from '../protocol/headers.ts'
import type { LogEntry } from '../queue/request-queue.ts'
import type { Turn } from './dispatcher.ts'
import type { InputMemory } from './input-memory.ts'
import { failedResult, type HandlerResult, type HandlerRun, runHandler, stopError } from './run-handler.ts'
import { StopReason } from './stop-reason.ts'

/** Reads inputs as an endpoint's schema has them. Both throw WireError. */
export interface InputValidation {
  /** The JSON text of a queued request as `validate` takes it, integers with every digit. */
  parseInput(text: string): unknown
  /** @param input what `parseInput` returned, or JavaScript values (of the direct channel) */
  validate(schema: EndpointSchema, input: unknown): unknown
}

/** The request on whose behalf a handler reads and saves files. */
export type FileRequest = Pick<
  ConversationOptions,
  'requestId' | 'endpointId' | 'keyId' | 'account' | 'filesUrl' | 'objectLifecycle'
>

/** What every attempt on this runner has in common. */
export interface AttemptEnvironment {
  readonly runnerId: string
  readonly arithmetic: ArithmeticName
  readonly endpoints: ReadonlyMap<string, RunnableEndpoint>
  readonly validation: InputValidation
  /** @param signal ends the fetches of a request that is over */
  readonly files: (
    request: FileRequest,
    signal: AbortSignal,
  ) => Pick<HandlerContext, 'saveFile' | 'readFile' | 'openOwnFile'>
  /** What the input pictures of requests may take together. */
  readonly inputMemory: InputMemory
  /** Whether pictures are to carry the request that they come from. */
  readonly recordsRequests: boolean
  /** Seconds that an aborted handler may take to stop before it counts as stuck. */
  readonly abortGraceSeconds: number
  /** Called when a request begins to draw. */
  readonly onDrawing: () => void
  /** A handler did not stop: what it holds (a native call, memory) is only got back by ending the process. */
  readonly onStuck: (endpointId: string) => void
  readonly log: ProcessLog
}

export interface Attempt {
  readonly request: FileRequest
  /** The validated input. @throws WireError 422 */
  readonly readInput: (endpoint: RunnableEndpoint) => unknown
  readonly streaming: boolean
  readonly inlineBytes: boolean
  readonly controller: AbortController
  readonly turn: Turn
  /** What preparing may take, and what drawing may take; waiting in line counts for neither. */
  readonly runTimeoutSeconds: number
  readonly onStarted: () => void
  /** The device is another's; what is left is done beside it. */
  readonly onFinishing: () => void
  readonly onPartial: (output: unknown) => void
  readonly onLog: (entry: LogEntry) => void
}

/** Answers one input within its time; never throws. */
export async function answerAttempt(attempt: Attempt, environment: AttemptEnvironment): Promise<HandlerResult> {
  const { request, controller, runTimeoutSeconds } = attempt
  const endpoint = environment.endpoints.get(request.endpointId)
  if (endpoint === undefined) {
    return failedResult(new WireError(404, `Application "${request.endpointId}" not found`))
  }
  const limit = runTimeLimit(controller, runTimeoutSeconds)
  const watch = watchStuck(attempt, environment)
  const memory = environment.inputMemory.share(request.account, controller.signal)
  try {
    const run = handlerRun(attempt, endpoint, environment, (bytes) => memory.reserve(bytes))
    const takeTurn = async () => {
      limit.pause()
      await attempt.turn.take(controller.signal)
      limit.restart()
      environment.onDrawing()
    }
    limit.restart()
    const result = await Promise.race([runHandler({ ...run, takeTurn }), watch.stuck])
    const billed = result.status < 400 ? { [BILLABLE_UNITS]: '1' } : {}
    const { device, precision } = environment.arithmetic
    const own = { 'x-fal-served-from': environment.runnerId, [DEVICE]: device, [PRECISION]: precision }
    return { ...result, headers: { ...own, ...billed, ...result.headers } }
  } finally {
    limit.pause()
    watch.stop()
    memory.release()
  }
}

function runTimeLimit(controller: AbortController, seconds: number) {
  let timer: NodeJS.Timeout | undefined
  const late = () => {
    const message = `The request ran longer than the ${seconds} seconds it may take`
    controller.abort(new StopReason('run-timeout', message))
  }
  return {
    pause: () => clearTimeout(timer),
    restart() {
      timer = setTimeout(late, seconds * 1000)
    },
  }
}

function handlerRun(
  attempt: Attempt,
  endpoint: RunnableEndpoint,
  environment: AttemptEnvironment,
  reserveMemory: HandlerContext['reserveMemory'],
): Omit<HandlerRun, 'takeTurn'> {
  const { request, readInput, streaming, inlineBytes, controller, turn, onStarted, onFinishing, onPartial, onLog } =
    attempt
  const context: HandlerRun['context'] = {
    requestId: request.requestId,
    signal: controller.signal,
    streaming,
    inlineBytes,
    log: (message, level = 'INFO', progress) =>
      onLog({ timestamp: new Date(), level, message, ...(progress && { progress }) }),
    reserveMemory,
    async handOnDevice() {
      await turn.handOn(controller.signal)
      onFinishing()
    },
    ...environment.files(request, controller.signal),
  }
  const onDefect = (err: unknown) =>
    environment.log.error({ requestId: request.requestId, endpointId: request.endpointId, err }, 'a handler failed')
  const { recordsRequests, arithmetic } = environment
  const { precision } = arithmetic
  return { endpoint, readInput, context, recordsRequests, precision, onStarted, onPartial, onDefect }
}

/** Answers for a handler that does not stop within its grace after the abort, and reports it. */
function watchStuck(attempt: Attempt, environment: AttemptEnvironment) {
  const { signal } = attempt.controller
  let timer: NodeJS.Timeout | undefined
  let onAbort = () => {}
  const stuck = new Promise<HandlerResult>((resolve) => {
    onAbort = () => {
      timer = setTimeout(() => {
        resolve(failedResult(stopError(signal.reason)))
        environment.onStuck(attempt.request.endpointId)
      }, environment.abortGraceSeconds * 1000)
    }
  })
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  const stop = () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
  return { stuck, stop }
}
