import { useQueryClient } from '@tanstack/react-query'
import { ImageOff, Images, Pencil, Play, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { useCatalogue } from '../api/catalogue.ts'
import { erasePayload, type HistoryFilter, type PastRequest, useHistory } from '../api/history.ts'
import { picturesOf } from '../api/pictures.ts'
import { replaceInput } from '../inputs/input-store.ts'
import { Alert } from '../parts/alert.tsx'
import { usePageTitle } from '../parts/page-title.ts'
import { DRAW_AT_ONCE } from '../run/draw-at-once.ts'
import { fieldErrorsOf } from '../schema/field-errors.ts'
import type { Input } from '../schema/starting-input.ts'

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
  const [search, setSearch] = useSearchParams()
  const [status, setStatus] = useState<HistoryFilter['status']>('')
  const [words, setWords] = useState('')
  const chosen = search.get('endpoint')
  const endpointIds = chosen === null ? endpoints.map(({ id }) => id) : [chosen]
  const history = useHistory({ endpointIds, status })
  const items = (history.data?.pages ?? []).flatMap((page) => page.items).filter((item) => matches(item, words))
  return (
    <>
      <h1>History</h1>
      <search className="row wrap filters">
        <label className="inline-label">
          Endpoint{' '}
          <select
            value={chosen ?? ''}
            onChange={({ target }) => setSearch(target.value === '' ? {} : { endpoint: target.value })}
          >
            <option value="">Every endpoint</option>
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
      {history.error === null ? null : <Alert>{history.error.message}</Alert>}
      {!history.isPending && items.length === 0 ? (
        <NothingHere endpointId={chosen ?? endpoints[0]?.id ?? ''} isFiltered={status !== '' || words !== ''} />
      ) : null}
      <ul className="history">
        {items.map((item) => (
          <PastRequestItem key={item.request_id} item={item} namesEndpoint={chosen === null} />
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

function NothingHere({ endpointId, isFiltered }: { readonly endpointId: string; readonly isFiltered: boolean }) {
  return (
    <div className="panel empty">
      <Images aria-hidden size={44} strokeWidth={1.25} />
      <p className="empty-title">{isFiltered ? 'Nothing fits this filter' : 'Nothing here yet'}</p>
      {isFiltered ? null : <Link to={`/models/${endpointId}`}>Draw the first one</Link>}
    </div>
  )
}

function PastRequestItem({ item, namesEndpoint }: { readonly item: PastRequest; readonly namesEndpoint: boolean }) {
  const { request_id: id, json_input: input, json_output: output, status_code } = item
  const [picture] = picturesOf(output)
  const prompt = typeof input?.prompt === 'string' ? input.prompt : ''
  const outcome = outcomeOf(item)
  const refusal = status_code === null || status_code < 400 ? undefined : firstReason(output)
  return (
    <li className="panel past" data-request={id}>
      {picture === undefined ? (
        <div className="past-picture none">
          <ImageOff aria-hidden size={28} strokeWidth={1.5} />
        </div>
      ) : (
        <a className="past-picture" href={picture.url} target="_blank" rel="noreferrer">
          <img src={picture.url} alt={prompt === '' ? 'What was drawn' : prompt} loading="lazy" />
        </a>
      )}
      <div className="past-text">
        <p className="prompt">{prompt}</p>
        <p className="description">
          <span className={`pill ${outcome.tone}`}>{outcome.text}</span> {new Date(item.sent_at).toLocaleString()}
          {item.duration === null ? '' : ` · ${item.duration.toFixed(2)} s`}
        </p>
        {namesEndpoint ? <p className="description">{item.endpoint_id}</p> : null}
        {refusal === undefined ? null : <p className="error">{refusal}</p>}
        {input === undefined ? (
          <p className="hint">What it was given is no longer kept.</p>
        ) : (
          <PastActions item={item} input={input} />
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
    </li>
  )
}

function PastActions({ item, input }: { readonly item: PastRequest; readonly input: Input }) {
  const navigate = useNavigate()
  const queries = useQueryClient()
  const [problem, setProblem] = useState<string>()
  const { endpoint_id: endpointId, request_id: id } = item
  const take = (state: object | null) => {
    replaceInput(endpointId, input)
    void navigate(`/models/${endpointId}`, { state })
  }
  const forget = async () => {
    setProblem(undefined)
    try {
      await erasePayload(id)
      await queries.invalidateQueries({ queryKey: ['history'] })
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <div className="row wrap">
      <button type="button" className="button small" onClick={() => take(DRAW_AT_ONCE)}>
        <Play aria-hidden size={16} /> Run again
      </button>
      <button type="button" className="button small" onClick={() => take(null)}>
        <Pencil aria-hidden size={16} /> Use again
      </button>
      {item.ended_at === null ? null : (
        <button type="button" className="button small" onClick={() => void forget()}>
          <Trash2 aria-hidden size={16} /> Forget
        </button>
      )}
      {problem === undefined ? null : <Alert>It was not forgotten: {problem}</Alert>}
    </div>
  )
}

/** Why a request was not drawn, in the words of its answer. */
function firstReason(body: unknown): string | undefined {
  const [first] = fieldErrorsOf(body)
  if (first !== undefined) return first[0] === '' ? first[1][0] : `${first[0]}: ${first[1][0]}`
  const detail = typeof body === 'object' && body !== null && 'detail' in body ? body.detail : undefined
  return typeof detail === 'string' ? detail : undefined
}

interface Outcome {
  readonly text: string
  readonly tone: '' | 'good' | 'bad'
}

function outcomeOf({ ended_at, status_code: status }: PastRequest): Outcome {
  if (ended_at === null || status === null) return { text: 'Under way', tone: '' }
  if (status === 200) return { text: 'Succeeded', tone: 'good' }
  if (status === 499) return { text: 'Cancelled', tone: '' }
  return { text: status < 500 ? `Refused (${status})` : `Failed (${status})`, tone: 'bad' }
}

function matches({ json_input: input, request_id: id }: PastRequest, words: string): boolean {
  const text = `${JSON.stringify(input ?? {})} ${id}`.toLowerCase()
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}
