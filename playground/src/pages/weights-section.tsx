import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { type PullEvent, pullWeights, useWeights, type Weights } from '../api/weights.ts'

const GIBIBYTE = 1024 ** 3

/** What is on the server's machine, and a way to fetch more. */
export function WeightsSection() {
  const { data, error } = useWeights()
  return (
    <section aria-label="On this machine">
      <PullForm />
      {error === null ? null : (
        <p className="error" role="alert">
          {error.message}
        </p>
      )}
      {data === undefined ? null : (
        <table className="panel">
          <caption>On this machine</caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Kind</th>
              <th scope="col">Size</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {data.map((weights) => (
              <tr key={`${weights.source} ${weights.name}`}>
                <th scope="row">
                  <code>{weights.name}</code>
                </th>
                <td>{[weights.kind, weights.family].filter((part) => part !== null).join(', ')}</td>
                <td>{sizeText(weights.bytes)}</td>
                <td>{stateOf(weights)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function PullForm() {
  const queries = useQueryClient()
  const [model, setModel] = useState('')
  const [event, setEvent] = useState<PullEvent>()
  const [controller, setController] = useState<AbortController>()
  const running = useRef<AbortController>(undefined)
  useEffect(() => () => running.current?.abort(), [])
  const start = () => {
    const own = new AbortController()
    running.current = own
    setController(own)
    setEvent(undefined)
    pullWeights(model.trim(), setEvent, own.signal)
      .catch((error: unknown) => {
        const message = own.signal.aborted
          ? 'Stopped. Another pull goes on from here.'
          : error instanceof Error
            ? error.message
            : String(error)
        setEvent({ type: 'failed', message })
      })
      .finally(() => {
        setController(undefined)
        void queries.invalidateQueries({ queryKey: ['weights'] })
      })
  }
  return (
    <form
      className="row wrap filters"
      onSubmit={(submit) => {
        submit.preventDefault()
        start()
      }}
    >
      <label className="inline-label">
        Fetch{' '}
        <input
          type="search"
          required
          value={model}
          placeholder="owner/name, or a URL"
          onChange={(change) => setModel(change.target.value)}
        />
      </label>
      {controller === undefined ? (
        <button type="submit" className="button">
          Fetch
        </button>
      ) : (
        <button type="button" className="button" onClick={() => controller.abort()}>
          Stop
        </button>
      )}
      <PullState event={event} isRunning={controller !== undefined} />
    </form>
  )
}

function PullState({ event, isRunning }: { readonly event: PullEvent | undefined; readonly isRunning: boolean }) {
  const done = event?.done_bytes ?? 0
  const total = event?.total_bytes ?? event?.missing_bytes ?? undefined
  return (
    <>
      {isRunning ? (
        <progress aria-label="Progress of the download" {...(total !== undefined && { max: total, value: done })} />
      ) : null}
      <span role="status" className={event?.type === 'failed' ? 'error' : ''}>
        {event === undefined ? '' : textOf(event, done, total)}
      </span>
    </>
  )
}

function textOf(event: PullEvent, done: number, total: number | undefined): string {
  if (event.type === 'failed') return event.message ?? 'It could not be fetched.'
  if (event.type === 'done') return 'It is here.'
  return total === undefined ? sizeText(done) : `${sizeText(done)} of ${sizeText(total)}`
}

function stateOf({ is_whole: isWhole, is_warm: isWarm }: Weights): string {
  if (!isWhole) return 'a part is missing'
  return isWarm ? 'loaded' : 'ready'
}

function sizeText(bytes: number): string {
  return bytes >= GIBIBYTE
    ? `${(bytes / GIBIBYTE).toFixed(1)} GiB`
    : `${Math.max(1, Math.round(bytes / 1024 ** 2))} MiB`
}
