import { useNavigate } from 'react-router'
import { useCatalogue } from '../api/catalogue.ts'
import { inputOf, storeInput } from '../inputs/input-store.ts'

/** Takes a picture to an endpoint that starts from one. */
export function UseAsInput({ url }: { readonly url: string }) {
  const navigate = useNavigate()
  const { data: endpoints = [] } = useCatalogue()
  const takers = endpoints.filter(({ pictureField }) => pictureField !== undefined)
  if (takers.length === 0) return null
  return (
    <select
      className="button small"
      aria-label="Use as input of"
      value=""
      onChange={(event) => {
        const endpoint = takers.find(({ id }) => id === event.target.value)
        if (endpoint?.pictureField === undefined) return
        storeInput(endpoint.id, { ...inputOf(endpoint), [endpoint.pictureField]: url })
        void navigate(`/models/${endpoint.id}`)
      }}
    >
      <option value="">Use as input of…</option>
      {takers.map(({ id }) => (
        <option key={id}>{id}</option>
      ))}
    </select>
  )
}
