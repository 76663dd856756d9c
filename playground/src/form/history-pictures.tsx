import { useState } from 'react'
import { useCatalogue } from '../api/catalogue.ts'
import { useHistory } from '../api/history.ts'
import { picturesOf } from '../api/pictures.ts'

/** Pictures that an endpoint has drawn, to choose one. */
export function HistoryPictures({ onChoose }: { readonly onChoose: (url: string) => void }) {
  const { data: endpoints = [] } = useCatalogue()
  const [chosen, setChosen] = useState<string>()
  const endpointId = chosen ?? endpoints[0]?.id ?? ''
  const { data, isPending, error } = useHistory({
    endpointIds: endpointId === '' ? [] : [endpointId],
    status: 'success',
  })
  const pictures = (data?.pages ?? []).flatMap(({ items }) =>
    items.flatMap(({ json_output }) => picturesOf(json_output)),
  )
  return (
    <>
      <label className="inline-label">
        Drawn by{' '}
        <select value={endpointId} onChange={(event) => setChosen(event.target.value)}>
          {endpoints.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      {error === null ? null : <p className="error">{error.message}</p>}
      {!isPending && pictures.length === 0 ? <p className="hint">It has drawn nothing yet.</p> : null}
      <div className="thumbnails">
        {pictures.map(({ url }, index) => (
          <button key={url} type="button" className="thumbnail" onClick={() => onChoose(url)}>
            <img src={url} alt={`Number ${index + 1}, newest first`} loading="lazy" />
          </button>
        ))}
      </div>
    </>
  )
}
