import { Image } from 'lucide-react'
import { Link } from 'react-router'
import { useCatalogue } from '../api/catalogue.ts'
import { endpointPicture } from '../docs/doc-library.ts'
import { usePageTitle } from '../parts/page-title.ts'
import { RestoreButton } from '../parts/picture-restore.tsx'

/** Every endpoint of the server. */
export function EndpointsPage() {
  usePageTitle('Endpoints')
  const { data: endpoints, error } = useCatalogue()
  return (
    <>
      <h1>What would you like to draw?</h1>
      <RestoreButton />
      {error === null ? null : (
        <p className="error" role="alert">
          {error.message}
        </p>
      )}
      <ul className="cards">
        {(endpoints ?? []).map(({ id, title, description, category, realtime }) => (
          <li key={id}>
            <Link to={`/models/${id}`} className="card">
              <CardPicture endpointId={id} />
              <h2>{title}</h2>
              <code>{id}</code>
              <p>{description}</p>
              <p className="tags">
                <span className="tag">{category}</span>
                {realtime ? <span className="tag">realtime</span> : null}
              </p>
            </Link>
          </li>
        ))}
      </ul>
    </>
  )
}

/** What the documentation's example of the endpoint draws. */
function CardPicture({ endpointId }: { readonly endpointId: string }) {
  const src = endpointPicture(endpointId)
  return (
    <span className="card-picture">
      {src === undefined ? <Image aria-hidden size={40} /> : <img src={src} alt="" loading="lazy" />}
    </span>
  )
}
