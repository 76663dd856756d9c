import * as Tabs from '@radix-ui/react-tabs'
import { BookOpen, History, Zap } from 'lucide-react'
import { useEffect, useState } from 'react'
import { Link } from 'react-router'
import { type Endpoint, useCatalogue } from '../api/catalogue.ts'
import { seedOf } from '../api/pictures.ts'
import { endpointDocAddress } from '../docs/endpoint-page-path.ts'
import { SchemaForm } from '../form/schema-form.tsx'
import { showField } from '../form/show-field.ts'
import { holdInput, replaceInput, useInput, wholeInputOf } from '../inputs/input-store.ts'
import { Alert } from '../parts/alert.tsx'
import { NothingThere } from '../parts/nothing-there.tsx'
import { usePageTitle } from '../parts/page-title.ts'
import { useDrawAtOnce } from '../run/draw-at-once.ts'
import { RunPanel } from '../run/run-panel.tsx'
import type { FinishedRun } from '../run/run-state.ts'
import { useRun } from '../run/use-run.ts'
import { NO_ERRORS } from '../schema/field-errors.ts'
import { type Input, startingInput } from '../schema/starting-input.ts'
import { CodeView } from './code-view.tsx'
import { JsonView } from './json-view.tsx'

interface EndpointPageProps {
  readonly endpointId: string
  /** Opens with the request as code. */
  readonly showsCode: boolean
}

/** One endpoint: its input beside what it draws. */
export function EndpointPage({ endpointId, showsCode }: EndpointPageProps) {
  const { data: endpoints, error } = useCatalogue()
  const endpoint = endpoints?.find(({ id }) => id === endpointId)
  if (error !== null) return <Alert>{error.message}</Alert>
  if (endpoints === undefined) return null
  if (endpoint === undefined) return <NothingThere text={`This server has no endpoint “${endpointId}”`} />
  return <Workbench endpoint={endpoint} showsCode={showsCode} />
}

function Workbench({ endpoint, showsCode }: { readonly endpoint: Endpoint; readonly showsCode: boolean }) {
  usePageTitle(endpoint.title)
  const [input, setInput] = useInput(endpoint)
  const [withSteps, setWithSteps] = useState(false)
  const run = useRun(endpoint.id)
  const errors = run.failure?.fields ?? NO_ERRORS
  const [tab, setTab] = useState(showsCode ? 'code' : 'form')
  const [wanted, setWanted] = useState<{ readonly path: string }>()
  const draw = () => run.start(wholeInputOf(endpoint), withSteps)
  useDrawAtOnce(draw)
  // The form is there only after its tab has been chosen.
  useEffect(() => {
    if (wanted !== undefined) showField(wanted.path)
  }, [wanted])
  const replace = (other: Input) => replaceInput(endpoint.id, other)
  const vary = (finished: FinishedRun) => {
    const varied = { ...finished.input, seed: (seedOf(finished.output) ?? 0) + 1 }
    replace(varied)
    run.start(varied, withSteps)
  }
  return (
    <>
      <EndpointHead endpoint={endpoint} />
      <div className="workbench">
        <form
          className="panel input-panel"
          aria-label="Input"
          noValidate
          onSubmit={(event) => {
            event.preventDefault()
            draw()
          }}
          onKeyDown={(event) => {
            // A key that is held down goes on coming, and each would draw anew.
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.repeat) draw()
          }}
        >
          <Tabs.Root value={tab} onValueChange={setTab}>
            <Tabs.List className="tabs" aria-label="How the input is shown">
              <Tabs.Trigger value="form">Form</Tabs.Trigger>
              <Tabs.Trigger value="json">JSON</Tabs.Trigger>
              <Tabs.Trigger value="code">Code</Tabs.Trigger>
            </Tabs.List>
            <Tabs.Content value="form">
              <SchemaForm
                endpoint={endpoint}
                input={input}
                errors={errors}
                onChange={setInput}
                onUpload={(upload) => holdInput(endpoint.id, upload)}
              />
            </Tabs.Content>
            <Tabs.Content value="json">
              <JsonView input={input} onChange={setInput} />
            </Tabs.Content>
            <Tabs.Content value="code">
              <CodeView endpointId={endpoint.id} input={input} />
            </Tabs.Content>
          </Tabs.Root>
          <div className="run-bar">
            <button type="submit" className="button primary" disabled={run.active !== undefined}>
              Draw
            </button>
            {run.active === undefined ? (
              <button
                type="button"
                className="button"
                onClick={() => replace(startingInput(endpoint.input, endpoint.document))}
              >
                Reset
              </button>
            ) : (
              <button type="button" className="button" onClick={run.cancel}>
                Cancel
              </button>
            )}
            <label className="inline-label">
              <input type="checkbox" checked={withSteps} onChange={(event) => setWithSteps(event.target.checked)} />{' '}
              Show every step
            </label>
          </div>
        </form>
        <RunPanel
          run={run}
          onVary={vary}
          onRestore={replace}
          onShowField={(path) => {
            setTab('form')
            setWanted({ path })
          }}
        />
      </div>
    </>
  )
}

function EndpointHead({ endpoint: { id, title, realtime } }: { readonly endpoint: Endpoint }) {
  return (
    <div className="page-head">
      <div>
        <h1>{title}</h1>
        <code>{id}</code>
      </div>
      <nav className="row wrap" aria-label="Of this endpoint">
        {realtime ? (
          <Link className="button small" to={`/realtime?endpoint=${id}`}>
            <Zap aria-hidden size={16} /> Draw in realtime
          </Link>
        ) : null}
        <Link className="button small" to={`/history?endpoint=${encodeURIComponent(id)}`}>
          <History aria-hidden size={16} /> Past requests
        </Link>
        <Link className="button small" to={endpointDocAddress(id)}>
          <BookOpen aria-hidden size={16} /> Documentation
        </Link>
      </nav>
    </div>
  )
}
