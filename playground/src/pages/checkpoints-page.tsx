import { type Endpoint, useCatalogue } from '../api/catalogue.ts'
import { usePageTitle } from '../parts/page-title.ts'
import { propertiesOf } from '../schema/json-schema.ts'
import { WeightsSection } from './weights-section.tsx'

/** Which models the endpoints draw with, and where they are looked for. */
export default function CheckpointsPage() {
  usePageTitle('Models')
  const { data: endpoints = [] } = useCatalogue()
  return (
    <>
      <h1>Models</h1>
      <p className="hint">
        Put an ordinary diffusers folder at <code>~/.darkroom/models/owner/name</code>, or let Darkroom find it in the
        hub cache of Python’s libraries. A model that is not there is drawn by the demo checkpoint Pinhole; each result
        says which one drew it.
      </p>
      <WeightsSection />
      <h2>What endpoints draw with</h2>
      <ul className="cards">
        {endpoints.map((endpoint) => (
          <li key={endpoint.id} className="card">
            <h2>{endpoint.title}</h2>
            <code>{endpoint.id}</code>
            <ul>
              {modelNames(endpoint).map((name) => (
                <li key={name}>
                  <code>{name}</code>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </>
  )
}

function modelNames({ input, document }: Endpoint): readonly string[] {
  const model = propertiesOf(input, document).find(({ name }) => name === 'model_name')?.schema
  return (model?.enum ?? model?.examples ?? []).map(String)
}
