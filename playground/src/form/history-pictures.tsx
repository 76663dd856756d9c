import { useState } from 'react'
import { useCatalogue } from '../api/catalogue.ts'
import { useHistory } from '../api/history.ts'
import { picturesOf } from '../api/pictures.ts'
import { Alert } from '../parts/alert.tsx'

/** Pictures that endpoints have drawn, or one of them has, to choose one. */
export function HistoryPictures({ onChoose }: { readonly onChoose: (url: string) => void }) {
  const { data: endpoints = [] } = useCatalogue()
  const [chosen, setChosen] = useState('')
  const endpointIds = chosen === '' ? endpoints.map(({ id }) => id) : [chosen]
  const { data, isPending, error, hasNextPage, isFetchingNextPage, fetchNextPage } = useHistory({
    endpointIds,
    status: 'success',
  })
  const pictures = (data?.pages ?? []).flatMap(({ items }) =>
    items.flatMap(({ json_output }) => picturesOf(json_output)),
  )
  return (
    <>
      <label className="inline-label">
        Drawn by{' '}
        <select value={chosen} onChange={(event) => setChosen(event.target.value)}>
          <option value="">every endpoint</option>
          {endpoints.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      {error === null ? null : <Alert>{error.message}</Alert>}
      {!isPending && pictures.length === 0 ? <p className="hint">Nothing has been drawn yet.</p> : null}
      <div className="thumbnails">
        {pictures.map(({ url }, index) => (
          <button key={url} type="button" className="thumbnail" onClick={() => onChoose(url)}>
            <img src={url} alt={`Number ${index + 1}, newest first`} loading="lazy" />
          </button>
        ))}
      </div>
      {hasNextPage ? (
        <button
          type="button"
          className="button small"
          disabled={isFetchingNextPage}
          onClick={() => void fetchNextPage()}
        >
          Older
        </button>
      ) : null}
    </>
  )
}
