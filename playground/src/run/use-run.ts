import { useCallback, useEffect, useRef, useState } from 'react'
import type { Input } from '../schema/starting-input.ts'
import { cancel, failureOf, runAsStream, runThroughQueue } from './execute.ts'
import { type ActiveRun, type FailedRun, type FinishedRun, STARTING } from './run-state.ts'

export interface Run {
  readonly active: ActiveRun | undefined
  readonly failure: FailedRun | undefined
  /** What this page has drawn, newest first. */
  readonly finished: readonly FinishedRun[]
  /** @param input may wait for what is still being uploaded */
  start(input: Input | Promise<Input>, withSteps: boolean): void
  cancel(): void
}

interface Running {
  /** Ends a stream. */
  readonly controller: AbortController
  /** Of the queue's request, once the server has it. */
  requestId: string | undefined
  isCancelled: boolean
}

/** The requests of one endpoint's page; one at a time. */
export function useRun(endpointId: string): Run {
  const [active, setActive] = useState<ActiveRun>()
  const [failure, setFailure] = useState<FailedRun>()
  const [finished, setFinished] = useState<readonly FinishedRun[]>([])
  const current = useRef<Running>(undefined)

  const stop = useCallback(() => {
    const running = current.current
    if (running === undefined) return
    current.current = undefined
    running.isCancelled = true
    running.controller.abort()
    // One that is on its way to the queue is cancelled when it is there.
    if (running.requestId !== undefined) void cancel(endpointId, running.requestId).catch(() => {})
    setActive(undefined)
  }, [endpointId])

  // A request of the queue goes on when the page is left, also one on its way there, and is found in the history.
  useEffect(() => {
    return () => {
      current.current?.controller.abort()
      current.current = undefined
    }
  }, [])

  const start = useCallback(
    (input: Input | Promise<Input>, withSteps: boolean) => {
      stop()
      const running: Running = { controller: new AbortController(), requestId: undefined, isCancelled: false }
      current.current = running
      const isCurrent = () => current.current === running
      const onChange = (run: ActiveRun) => {
        if (running.isCancelled && running.requestId === undefined && run.requestId !== undefined) {
          void cancel(endpointId, run.requestId).catch(() => {})
        }
        running.requestId = run.requestId
        if (isCurrent()) setActive(run)
      }
      const execute = async () => {
        const whole = await input
        if (running.isCancelled) throw new Error('It was cancelled before it was sent')
        if (!withSteps) return runThroughQueue({ endpointId, input: whole, onChange })
        return runAsStream({ endpointId, input: whole, signal: running.controller.signal, onChange })
      }
      setFailure(undefined)
      setActive(STARTING)
      execute()
        .then((run) => {
          if (isCurrent()) setFinished((earlier) => [run, ...earlier])
        })
        .catch((error: unknown) => {
          if (isCurrent()) setFailure(failureOf(error))
        })
        .finally(() => {
          if (!isCurrent()) return
          current.current = undefined
          setActive(undefined)
        })
    },
    [endpointId, stop],
  )
  return { active, failure, finished, start, cancel: stop }
}
