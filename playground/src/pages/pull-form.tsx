import type { Pull } from '../api/pull.ts'
import type { PullEvent } from '../api/weights.ts'
import { sizeText } from '../parts/size-text.ts'

interface PullFormProps {
  readonly model: string
  readonly pull: Pull
  readonly onModel: (model: string) => void
  readonly onFetch: (model: string) => void
}

/** Names a model, fetches it, and shows how far that is. */
export function PullForm({ model, pull, onModel, onFetch }: PullFormProps) {
  return (
    <form
      className="panel pull-form"
      onSubmit={(submit) => {
        submit.preventDefault()
        // The Enter key submits the form also while there is no button for it; the download that is watched goes on.
        if (!pull.isRunning) onFetch(model)
      }}
    >
      <label className="label" htmlFor="pull-model">
        Fetch a model
      </label>
      <div className="row">
        <input
          id="pull-model"
          type="text"
          required
          value={model}
          placeholder="owner/name of the hub, a Civitai page, or a URL"
          autoComplete="off"
          spellCheck={false}
          onChange={(change) => onModel(change.target.value)}
        />
        {/* Two buttons, not one that changes: a click on it would submit the form with what it has become. */}
        {pull.isRunning ? (
          <button key="stop" type="button" className="button" onClick={pull.stop}>
            Stop
          </button>
        ) : (
          <button key="fetch" type="submit" className="button primary">
            Fetch
          </button>
        )}
      </div>
      <PullState pull={pull} />
    </form>
  )
}

function PullState({ pull: { event, isRunning } }: { readonly pull: Pull }) {
  const done = event?.done_bytes ?? 0
  const total = event?.total_bytes ?? event?.missing_bytes ?? undefined
  return (
    <>
      {isRunning ? (
        <progress aria-label="Progress of the download" {...(total !== undefined && { max: total, value: done })} />
      ) : null}
      <p role="status" className={event?.type === 'failed' ? 'error' : 'hint'}>
        {event === undefined ? IDLE : textOf(event, done, total)}
      </p>
    </>
  )
}

const IDLE = 'A base model is several GB. A download that is stopped goes on where it was.'

function textOf(event: PullEvent, done: number, total: number | undefined): string {
  if (event.type === 'failed') return event.message ?? 'It could not be fetched.'
  if (event.type === 'done') return 'It is here.'
  return total === undefined ? sizeText(done) : `${sizeText(done)} of ${sizeText(total)}`
}
