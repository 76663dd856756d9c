import { useEffect, useRef, useState } from 'react'
import type { Input } from '../schema/starting-input.ts'
import { ResultView } from './result-view.tsx'
import { RunProgress } from './run-progress.tsx'
import type { FinishedRun } from './run-state.ts'
import type { Run } from './use-run.ts'

interface RunPanelProps {
  readonly run: Run
  readonly onVary: (finished: FinishedRun) => void
  /** Puts the input of an earlier request back into the form. */
  readonly onRestore: (input: Input) => void
}

/** What an endpoint is drawing, has drawn, or why it could not. */
export function RunPanel({ run, onVary, onRestore }: RunPanelProps) {
  const [chosenId, setChosenId] = useState<string>()
  const { active, failure, finished } = run
  const panel = useRef<HTMLElement>(null)
  const isRunning = active !== undefined
  // On a phone the result lies below the form.
  useEffect(() => {
    if (isRunning && matchMedia('(max-width: 900px)').matches) panel.current?.scrollIntoView({ block: 'start' })
  }, [isRunning])
  const shown = finished.find(({ requestId }) => requestId === chosenId) ?? finished[0]
  return (
    <section ref={panel} className="panel result-panel" aria-label="Result">
      <div aria-live="polite">
        {active === undefined ? null : <RunProgress run={active} />}
        {failure === undefined ? null : (
          <p className="error" role="alert">
            {failure.message}
          </p>
        )}
      </div>
      {active?.preview[0] === undefined ? null : (
        <img className="result-picture preview" src={active.preview[0].url} alt="As far as it is drawn" />
      )}
      {active !== undefined && active.preview.length > 0 ? null : shown === undefined ? (
        <div className="empty">
          <p>{active === undefined ? 'Nothing drawn yet. Draw, or press Ctrl+Enter.' : ''}</p>
        </div>
      ) : (
        <ResultView key={shown.requestId} finished={shown} onVary={onVary} onRestore={onRestore} />
      )}
      {finished.length < 2 ? null : (
        <fieldset className="filmstrip">
          <legend className="visually-hidden">Drawn on this page</legend>
          {finished.map(({ requestId, pictures }, index) => (
            <button
              key={requestId}
              type="button"
              className="thumbnail"
              aria-pressed={requestId === shown?.requestId}
              aria-label={`Result ${finished.length - index}`}
              onClick={() => setChosenId(requestId)}
            >
              {pictures[0] === undefined ? null : <img src={pictures[0].url} alt="" />}
            </button>
          ))}
        </fieldset>
      )}
    </section>
  )
}
