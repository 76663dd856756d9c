import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { type PullEvent, pullWeights } from './weights.ts'

export interface Pull {
  readonly isRunning: boolean
  /** The newest thing that is known of it. */
  readonly event: PullEvent | undefined
  start(model: string): void
  stop(): void
}

/** The download that this page watches; it stops with the page, and another goes on from there. */
export function usePull(): Pull {
  const queries = useQueryClient()
  const [event, setEvent] = useState<PullEvent>()
  const [isRunning, setRunning] = useState(false)
  const running = useRef<AbortController>(undefined)
  useEffect(() => () => running.current?.abort(), [])
  return {
    isRunning,
    event,
    start(model) {
      const own = new AbortController()
      running.current = own
      setRunning(true)
      setEvent(undefined)
      pullWeights(model.trim(), setEvent, own.signal)
        .catch((error: unknown) => setEvent({ type: 'failed', message: failureText(error, own.signal) }))
        .finally(() => {
          setRunning(false)
          void queries.invalidateQueries({ queryKey: ['weights'] })
        })
    },
    stop: () => running.current?.abort(),
  }
}

function failureText(error: unknown, { aborted }: AbortSignal): string {
  if (aborted) return 'Stopped. Another pull goes on from here.'
  return error instanceof Error ? error.message : String(error)
}
