import { useCallback, useEffect, useRef, useState } from 'react'
import type { Input } from '../schema/starting-input.ts'
import { cancel, failureOf, runAsStream, runThroughQueue } from './execute.ts'
import type { ActiveRun, FailedRun, FinishedRun } from './run-state.ts'

export interface Run {
  readonly active: ActiveRun | undefined
  readonly failure: FailedRun | undefined
  /** What this page has drawn, newest first. */
  readonly finished: readonly FinishedRun[]
  start(input: Input, withSteps: boolean): void
  cancel(): void
}

/** The requests of one endpoint's page; one at a time. */
export function useRun(endpointId: string): Run {
  const [active, setActive] = useState<ActiveRun>()
  const [failure, setFailure] = useState<FailedRun>()
  const [finished, setFinished] = useState<readonly FinishedRun[]>([])
  const current = useRef<{ readonly controller: AbortController; requestId: string | undefined }>(undefined)

  const stop = useCallback(() => {
    const running = current.current
    if (running === undefined) return
    current.current = undefined
    running.controller.abort()
    if (running.requestId !== undefined) void cancel(endpointId, running.requestId).catch(() => {})
    setActive(undefined)
  }, [endpointId])

  // A request that was queued goes on when the page is left, and is found in the history.
  useEffect(() => {
    return () => {
      current.current?.controller.abort()
      current.current = undefined
    }
  }, [])

  const start = useCallback(
    (input: Input, withSteps: boolean) => {
      stop()
      const running = { controller: new AbortController(), requestId: undefined as string | undefined }
      current.current = running
      const isCurrent = () => current.current === running
      const execute = withSteps ? runAsStream : runThroughQueue
      setFailure(undefined)
      execute({
        endpointId,
        input,
        signal: running.controller.signal,
        onChange(run) {
          running.requestId = run.requestId
          if (isCurrent()) setActive(run)
        },
      })
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
