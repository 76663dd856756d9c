import { useEffect, useState } from 'react'
import type { ActiveRun } from './run-state.ts'

const SHOWN_LOGS = 200

/** Where a request is: its place in the queue, or how far it has been drawn, and what it logs. */
export function RunProgress({ run }: { readonly run: ActiveRun }) {
  const seconds = useSeconds()
  const { progress, logs } = run
  return (
    <div className="progress" data-phase={run.phase}>
      <p>
        <strong>{describe(run)}</strong> <span className="seconds">{seconds.toFixed(1)} s</span>
      </p>
      {progress === undefined ? (
        <progress aria-label="Progress" />
      ) : (
        <progress aria-label="Progress" max={progress.steps} value={progress.step} />
      )}
      {logs.length === 0 ? null : (
        <details className="logs" aria-live="off">
          <summary>Log</summary>
          <ol>
            {logs.slice(-SHOWN_LOGS).map(({ message, level, timestamp }) => (
              <li key={`${timestamp} ${message}`} className={level.toLowerCase()}>
                {message}
              </li>
            ))}
          </ol>
        </details>
      )}
    </div>
  )
}

function describe({ phase, position, progress, preview }: ActiveRun): string {
  if (phase === 'sending') return 'Sending'
  if (phase === 'queued') {
    if (position === undefined || position === 0) return 'Next in the queue: waits for a runner'
    return `In the queue behind ${position} ${position === 1 ? 'other' : 'others'}`
  }
  if (progress !== undefined) return `Drawing: step ${progress.step} of ${progress.steps}`
  return preview.length > 0 ? 'Drawing' : 'Running: the model loads or begins'
}

const TICK_MILLISECONDS = 100

function useSeconds(): number {
  const [startedAt] = useState(() => performance.now())
  const [now, setNow] = useState(startedAt)
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), TICK_MILLISECONDS)
    return () => clearInterval(timer)
  }, [])
  return (now - startedAt) / 1000
}
