import { Image, Layers, PersonStanding } from 'lucide-react'
import { Link } from 'react-router'
import { type Endpoint, useCatalogue } from '../api/catalogue.ts'
import { endpointPicture } from '../docs/doc-library.ts'
import { Alert } from '../parts/alert.tsx'
import { usePageTitle } from '../parts/page-title.ts'
import { RestoreButton } from '../parts/picture-restore.tsx'
import { PromptStart } from './prompt-start.tsx'

const SECTIONS = ['From words', 'From a picture', 'Control images'] as const
type Section = (typeof SECTIONS)[number]

/** Words to draw at once, and every endpoint of the server. */
export function EndpointsPage() {
  usePageTitle('Draw')
  const { data: endpoints, error } = useCatalogue()
  const fromWords = endpoints?.find((endpoint) => sectionOf(endpoint) === 'From words')
  return (
    <>
      <div className="start">
        <h1>What would you like to draw?</h1>
        {endpoints !== undefined && fromWords === undefined ? null : <PromptStart endpoint={fromWords} />}
        <RestoreButton />
      </div>
      {error === null ? null : <Alert>{error.message}</Alert>}
      {SECTIONS.map((section) => (
        <EndpointSection
          key={section}
          title={section}
          endpoints={(endpoints ?? []).filter((endpoint) => sectionOf(endpoint) === section)}
        />
      ))}
    </>
  )
}

function EndpointSection({ title, endpoints }: { readonly title: string; readonly endpoints: readonly Endpoint[] }) {
  if (endpoints.length === 0) return null
  return (
    <section aria-label={title} className="card-section">
      <h2>{title}</h2>
      <ul className="cards">
        {endpoints.map(({ id, title: name, description, realtime }) => (
          <li key={id}>
            <Link to={`/models/${id}`} className="card">
              <CardPicture endpointId={id} />
              <h3>{name}</h3>
              <code>{id}</code>
              <p>{description}</p>
              {realtime ? <span className="pill good">realtime</span> : null}
            </Link>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** What is needed to draw with an endpoint; without a prompt it draws what steers others. */
function sectionOf({ input, pictureField }: Endpoint): Section {
  if (input.properties?.prompt === undefined) return 'Control images'
  const needsPicture = pictureField !== undefined && (input.required ?? []).includes(pictureField)
  return needsPicture ? 'From a picture' : 'From words'
}

/** What the documentation's example of the endpoint draws. */
function CardPicture({ endpointId }: { readonly endpointId: string }) {
  const src = endpointPicture(endpointId)
  const Icon = endpointId.includes('depth') ? Layers : endpointId.includes('pose') ? PersonStanding : Image
  return (
    <span className="card-picture">
      {src === undefined ? <Icon aria-hidden size={44} strokeWidth={1.25} /> : <img src={src} alt="" loading="lazy" />}
    </span>
  )
}
