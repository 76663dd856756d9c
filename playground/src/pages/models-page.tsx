import { useState } from 'react'
import { type Endpoint, useCatalogue } from '../api/catalogue.ts'
import { usePull } from '../api/pull.ts'
import { useWeights, type Weights } from '../api/weights.ts'
import { Alert } from '../parts/alert.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { usePageTitle } from '../parts/page-title.ts'
import { propertiesOf } from '../schema/json-schema.ts'
import { PullForm } from './pull-form.tsx'
import { WeightsTable } from './weights-table.tsx'

/** Which models the endpoints draw with, what is here of them, and a way to fetch more. */
export default function ModelsPage() {
  usePageTitle('Models')
  const { data: endpoints = [] } = useCatalogue()
  const { data: weights, error } = useWeights()
  const [model, setModel] = useState('')
  const pull = usePull()
  const fetchModel = (name: string) => {
    setModel(name)
    pull.start(name)
  }
  return (
    <>
      <h1>Models</h1>
      <p className="lead">
        Fetch a model here, put an ordinary diffusers folder at <code>~/.darkroom/models/owner/name</code>, or let
        Darkroom find it in the hub cache of Python’s libraries. What is not here is drawn by the demo checkpoint
        Pinhole; each result says which model drew it.
      </p>
      <PullForm model={model} pull={pull} onModel={setModel} onFetch={fetchModel} />
      {error === null ? null : <Alert>{error.message}</Alert>}
      <section className="section">
        <h2>What endpoints draw with</h2>
        <NamedModels endpoints={endpoints} weights={weights} isPulling={pull.isRunning} onFetch={fetchModel} />
      </section>
      {weights === undefined ? null : (
        <section className="section">
          <h2>On this machine</h2>
          <WeightsTable weights={weights} />
        </section>
      )}
    </>
  )
}

interface NamedModelsProps {
  readonly endpoints: readonly Endpoint[]
  /** Absent where the key may not see them. */
  readonly weights: readonly Weights[] | undefined
  readonly isPulling: boolean
  readonly onFetch: (model: string) => void
}

/** Each model that endpoints name, with those that do. */
function NamedModels({ endpoints, weights, isPulling, onFetch }: NamedModelsProps) {
  return (
    <DataTable
      label="What endpoints draw with"
      columns={['Model', { title: 'Named by', isOptional: true }, 'State', '']}
    >
      {[...usersOf(endpoints)].map(([name, users]) => {
        const here = weights?.find((each) => each.name === name)
        return (
          <tr key={name}>
            <th scope="row">
              <code>{name}</code>
            </th>
            <td className="optional">{users.length === 1 ? users[0] : `${users[0]} and ${users.length - 1} more`}</td>
            <td>{weights === undefined ? '–' : <PresencePill here={here} />}</td>
            <td className="row-action">
              {weights === undefined || here?.is_whole === true ? null : (
                <button
                  type="button"
                  className="button small"
                  aria-label={`Fetch ${name}`}
                  disabled={isPulling}
                  onClick={() => onFetch(name)}
                >
                  Fetch
                </button>
              )}
            </td>
          </tr>
        )
      })}
    </DataTable>
  )
}

function PresencePill({ here }: { readonly here: Weights | undefined }) {
  if (here === undefined) return <span className="pill">not here</span>
  return here.is_whole ? <span className="pill good">here</span> : <span className="pill bad">a part is missing</span>
}

function usersOf(endpoints: readonly Endpoint[]): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, readonly string[]>()
  for (const endpoint of endpoints) {
    for (const name of modelNames(endpoint)) users.set(name, [...(users.get(name) ?? []), endpoint.id])
  }
  return users
}

function modelNames({ input, document }: Endpoint): readonly string[] {
  const model = propertiesOf(input, document).find(({ name }) => name === 'model_name')?.schema
  return (model?.enum ?? model?.examples ?? []).map(String)
}
