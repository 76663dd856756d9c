import { ImagePlus } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import type { Input } from '../schema/starting-input.ts'
import { FailureNotice } from './failure-notice.tsx'
import { pictureShape } from './picture-shape.ts'
import { ResultView } from './result-view.tsx'
import { RunProgress } from './run-progress.tsx'
import type { ActiveRun, FinishedRun } from './run-state.ts'
import type { Run } from './use-run.ts'

interface RunPanelProps {
  readonly run: Run
  readonly onVary: (finished: FinishedRun) => void
  /** Puts the input of an earlier request back into the form. */
  readonly onRestore: (input: Input) => void
  readonly onShowField: (path: string) => void
}

/** What an endpoint is drawing, has drawn, or why it could not. */
export function RunPanel({ run, onVary, onRestore, onShowField }: RunPanelProps) {
  const [chosenId, setChosenId] = useState<string>()
  const { active, failure, finished } = run
  const panel = useRef<HTMLElement>(null)
  const isRunning = active !== undefined
  // On a phone the result lies below the form.
  useEffect(() => {
    if (isRunning && matchMedia('(max-width: 900px)').matches) panel.current?.scrollIntoView({ block: 'start' })
    if (isRunning) setChosenId(undefined)
  }, [isRunning])
  const shown = finished.find(({ requestId }) => requestId === chosenId) ?? finished[0]
  return (
    <section ref={panel} className="panel result-panel" aria-label="Result">
      <div aria-live="polite">{active === undefined ? null : <RunProgress run={active} />}</div>
      {failure === undefined ? null : <FailureNotice failure={failure} onShowField={onShowField} />}
      <Canvas active={active} shown={shown} onVary={onVary} onRestore={onRestore} />
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

interface CanvasProps extends Pick<RunPanelProps, 'onVary' | 'onRestore'> {
  readonly active: ActiveRun | undefined
  readonly shown: FinishedRun | undefined
}

function Canvas({ active, shown, onVary, onRestore }: CanvasProps) {
  const preview = active?.preview[0]
  if (preview !== undefined) {
    return (
      <img
        className="result-picture preview"
        src={preview.url}
        alt="As far as it is drawn"
        style={pictureShape(preview)}
      />
    )
  }
  if (shown !== undefined) {
    return <ResultView key={shown.requestId} finished={shown} onVary={onVary} onRestore={onRestore} />
  }
  return (
    <div className="empty">
      <ImagePlus aria-hidden size={44} strokeWidth={1.25} />
      {active === undefined ? (
        <>
          <p className="empty-title">Your picture appears here</p>
          <p>
            Press Draw, or <kbd>Ctrl</kbd> + <kbd>Enter</kbd>
          </p>
        </>
      ) : null}
    </div>
  )
}
