import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { useCatalogue } from '../api/catalogue.ts'
import { erasePayload, type HistoryFilter, type PastRequest, useHistory } from '../api/history.ts'
import { picturesOf } from '../api/pictures.ts'
import { storeInput } from '../inputs/input-store.ts'
import { usePageTitle } from '../parts/page-title.ts'

const OUTCOMES: readonly (readonly [HistoryFilter['status'], string])[] = [
  ['', 'Every outcome'],
  ['success', 'Succeeded'],
  ['user_error', 'Refused'],
  ['error', 'Failed'],
]

/** What the server was asked for and drew, also before it was last started. */
export default function HistoryPage() {
  usePageTitle('History')
  const { data: endpoints = [] } = useCatalogue()
  const [chosen, setChosen] = useState<string>()
  const [status, setStatus] = useState<HistoryFilter['status']>('')
  const [words, setWords] = useState('')
  const endpointId = chosen ?? endpoints[0]?.id ?? ''
  const history = useHistory({ endpointId, status })
  const items = (history.data?.pages ?? []).flatMap((page) => page.items).filter((item) => matches(item, words))
  return (
    <>
      <h1>History</h1>
      <search className="row wrap filters">
        <label className="inline-label">
          Endpoint{' '}
          <select value={endpointId} onChange={(event) => setChosen(event.target.value)}>
            {endpoints.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
        <label className="inline-label">
          Outcome{' '}
          <select value={status} onChange={(event) => setStatus(event.target.value as HistoryFilter['status'])}>
            {OUTCOMES.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label className="inline-label">
          Words <input type="search" value={words} onChange={(event) => setWords(event.target.value)} />
        </label>
      </search>
      {history.error === null ? null : (
        <p className="error" role="alert">
          {history.error.message}
        </p>
      )}
      {!history.isPending && items.length === 0 ? <p className="hint">Nothing here yet.</p> : null}
      <ul className="history">
        {items.map((item) => (
          <PastRequestItem key={item.request_id} item={item} />
        ))}
      </ul>
      {history.hasNextPage ? (
        <button
          type="button"
          className="button"
          disabled={history.isFetchingNextPage}
          onClick={() => void history.fetchNextPage()}
        >
          Older ones
        </button>
      ) : null}
    </>
  )
}

function PastRequestItem({ item }: { readonly item: PastRequest }) {
  const navigate = useNavigate()
  const queries = useQueryClient()
  const { endpoint_id: endpointId, request_id: id, json_input: input, json_output: output } = item
  const [picture] = picturesOf(output)
  const prompt = typeof input?.prompt === 'string' ? input.prompt : ''
  return (
    <li className="panel past" data-request={id}>
      {picture === undefined ? (
        <div className="past-picture none">{outcomeOf(item)}</div>
      ) : (
        <a className="past-picture" href={picture.url} target="_blank" rel="noreferrer">
          <img src={picture.url} alt={prompt === '' ? 'What was drawn' : prompt} loading="lazy" />
        </a>
      )}
      <div className="past-text">
        <p className="prompt">{prompt}</p>
        <p className="description">
          {new Date(item.sent_at).toLocaleString()} · {outcomeOf(item)}
          {item.duration === null ? '' : ` · ${item.duration.toFixed(2)} s`}
        </p>
        <div className="row wrap">
          {input === undefined ? null : (
            <button
              type="button"
              className="button small"
              onClick={() => {
                storeInput(endpointId, input)
                void navigate(`/models/${endpointId}`)
              }}
            >
              Use again
            </button>
          )}
          {input === undefined || item.ended_at === null ? null : (
            <button
              type="button"
              className="button small"
              onClick={() =>
                void erasePayload(id).then(() => queries.invalidateQueries({ queryKey: ['history', endpointId] }))
              }
            >
              Forget
            </button>
          )}
        </div>
        {input === undefined ? null : (
          <details>
            <summary>Exact input</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which a keyboard can do in what it can reach */}
            <pre className="code" tabIndex={0}>
              {JSON.stringify(input, null, 2)}
            </pre>
          </details>
        )}
      </div>
    </li>
  )
}

function outcomeOf({ ended_at, status_code: status }: PastRequest): string {
  if (ended_at === null || status === null) return 'Under way'
  if (status === 200) return 'Succeeded'
  if (status === 499) return 'Cancelled'
  return status < 500 ? `Refused (${status})` : `Failed (${status})`
}

function matches({ json_input: input, request_id: id }: PastRequest, words: string): boolean {
  const text = `${JSON.stringify(input ?? {})} ${id}`.toLowerCase()
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}
