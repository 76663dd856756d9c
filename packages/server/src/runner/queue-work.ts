import { startTimeoutError } from '../channel/deadline.ts'
import { stringifyJson } from '../protocol/json-text.ts'
import type { ClaimedRequest, Outcome } from '../queue/request-queue.ts'
import { type AttemptEnvironment, answerAttempt } from './attempt.ts'
import type { Claims } from './claims.ts'
import type { Job, Turn } from './dispatcher.ts'
import { RequestLog } from './request-log.ts'
import { failedResult, type HandlerResult } from './run-handler.ts'
import type { RunnerQueue } from './runner-queue.ts'
import { StopReason } from './stop-reason.ts'

export interface QueueWorkEnvironment extends AttemptEnvironment {
  readonly queue: RunnerQueue
  readonly claims: Claims
  readonly logFlushMs: number
  readonly runTimeoutSeconds: number
}

/** A claimed request that is held from here on. */
export interface QueueWork {
  /** Works on it; resolves when the device is free again. */
  readonly job: Job
  /** Resolves when the outcome is stored, or no longer this runner's business. */
  readonly completed: Promise<void>
}

/** What works on a claimed request and completes it. Storing the result is no reason to keep the device waiting. */
export function holdQueueWork(
  claimed: ClaimedRequest,
  controller: AbortController,
  environment: QueueWorkEnvironment,
): QueueWork {
  const { queue, claims, log } = environment
  const claim = { requestId: claimed.requestId, attempt: claimed.attempt }
  claims.hold(claim, () => controller.abort(new StopReason('cancelled', 'Request was cancelled by the client')))
  const requestLog = new RequestLog(
    (entries) => queue.appendLogs(claim, entries),
    environment.logFlushMs,
    (err) => log.error({ ...claim, err }, 'writing a request’s log failed'),
  )
  let end = (_result: HandlerResult) => {}
  const ended = new Promise<HandlerResult>((resolve) => {
    end = resolve
  })
  return {
    job: async (turn) => end(await work(claimed, controller, turn, requestLog, environment)),
    completed: ended.then(async (result) => {
      await requestLog.flush()
      await claims.complete(claim, toOutcome(result, environment), result.retryable === true)
    }),
  }
}

function work(
  claimed: ClaimedRequest,
  controller: AbortController,
  turn: Turn,
  requestLog: RequestLog,
  environment: QueueWorkEnvironment,
): Promise<HandlerResult> {
  const { validation } = environment
  return answerAttempt(
    {
      request: claimed,
      readInput: ({ schema }) => validation.validate(schema, validation.parseInput(claimed.input)),
      streaming: false,
      inlineBytes: false,
      controller,
      turn: saidWhenWaiting(inTime(turn, claimed), requestLog),
      runTimeoutSeconds: claimed.runTimeoutSeconds ?? environment.runTimeoutSeconds,
      onStarted: () => {},
      onFinishing: () => {},
      onPartial: () => {},
      onLog: (entry) => requestLog.add(entry),
    },
    environment,
  )
}

/** A request that is here and waits for the device has not started: its turn has to come within the submitter's limit. */
function inTime(turn: Turn, { startTimeoutSeconds, startWithinMs }: ClaimedRequest): Turn {
  if (startTimeoutSeconds === undefined || startWithinMs === undefined) return turn
  const startBy = performance.now() + startWithinMs
  return {
    async take(signal, onWait) {
      const late = new AbortController()
      const abort = () => late.abort(startTimeoutError(startTimeoutSeconds))
      const timer = setTimeout(abort, Math.max(0, startBy - performance.now()))
      try {
        await turn.take(AbortSignal.any([signal, late.signal]), onWait)
      } finally {
        clearTimeout(timer)
      }
    },
    handOn: (signal) => turn.handOn(signal),
  }
}

/** It counts as in progress since it began to prepare, and nothing else tells its client that others draw first. */
function saidWhenWaiting(turn: Turn, log: RequestLog): Turn {
  const say = () => log.add({ timestamp: new Date(), level: 'INFO', message: 'Ready, waiting for the device' })
  return { ...turn, take: (signal) => turn.take(signal, say) }
}

function toOutcome(result: HandlerResult, { log }: QueueWorkEnvironment): Outcome {
  try {
    return { ...withoutOutput(result), body: stringifyJson(result.output) }
  } catch (error) {
    // A cycle, or nesting beyond the stack: the handler's defect.
    log.error({ err: error }, 'an output cannot be written as JSON')
    const failed = failedResult(error)
    return { ...withoutOutput(failed), body: stringifyJson(failed.output) }
  }
}

function withoutOutput(result: HandlerResult): Omit<Outcome, 'body'> {
  const { output: _output, retryable: _retryable, ...rest } = result
  return rest
}
