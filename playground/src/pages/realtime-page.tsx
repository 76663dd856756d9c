import { memo, useCallback, useEffect, useMemo, useState } from 'react'
import { useSearchParams } from 'react-router'
import { type Endpoint, useCatalogue } from '../api/catalogue.ts'
import { SchemaForm } from '../form/schema-form.tsx'
import { Alert } from '../parts/alert.tsx'
import { usePageTitle } from '../parts/page-title.ts'
import { LiveCanvas } from '../realtime/live-canvas.tsx'
import { LiveOutput } from '../realtime/live-output.tsx'
import { type Live, useLive } from '../realtime/use-live.ts'
import { fieldErrorsOf } from '../schema/field-errors.ts'
import { type Input, startingInput } from '../schema/starting-input.ts'

/** Drawn anew when the input changes, not with each picture that comes: typing waits for nothing. */
const LiveForm = memo(SchemaForm)

/** Draws while one types, moves a slider or paints. */
export default function RealtimePage() {
  usePageTitle('Realtime')
  const { data: endpoints, error } = useCatalogue()
  const [search, setSearch] = useSearchParams()
  const live = (endpoints ?? []).filter(({ realtime }) => realtime)
  const endpoint = live.find(({ id }) => id === search.get('endpoint')) ?? live[0]
  if (error !== null) return <Alert>{error.message}</Alert>
  return (
    <>
      <div className="page-head">
        <div>
          <h1>Realtime</h1>
          <p className="hint">Type, move a slider or paint: each change is drawn at once.</p>
        </div>
        <label className="inline-label">
          Endpoint{' '}
          <select value={endpoint?.id ?? ''} onChange={(event) => setSearch({ endpoint: event.target.value })}>
            {live.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
      </div>
      {endpoint === undefined ? null : <Studio key={endpoint.id} endpoint={endpoint} />}
    </>
  )
}

function Studio({ endpoint }: { readonly endpoint: Endpoint }) {
  const [input, setInput] = useState<Input>(() => liveStart(endpoint))
  const live = useLive(endpoint.id)
  const [keepsDrawing, setKeepsDrawing] = useState(false)
  const drawn = endpoint.pictureField !== undefined
  const shownSchema = useMemo(() => withoutHandled(endpoint), [endpoint])
  const { send, failure } = live
  const errors = useMemo(() => fieldErrorsOf(failure?.body), [failure])

  // An endpoint that needs a picture waits for the first stroke.
  useEffect(() => {
    if (!drawn || input.image_bytes !== undefined) send(input)
  }, [send, input, drawn])
  const onPainted = useCallback((image_bytes: Uint8Array) => setInput((now) => ({ ...now, image_bytes })), [])
  useEndlessDrawing(keepsDrawing, live, setInput)

  return (
    <div className="workbench live">
      <form className="panel input-panel" aria-label="Input" onSubmit={(event) => event.preventDefault()}>
        {drawn ? <LiveCanvas onPainted={onPainted} /> : null}
        <LiveForm endpoint={shownSchema} input={input} errors={errors} onChange={setInput} />
        <label className="inline-label">
          <input type="checkbox" checked={keepsDrawing} onChange={(event) => setKeepsDrawing(event.target.checked)} />{' '}
          Keep drawing, each with the next seed
        </label>
      </form>
      <LiveOutput live={live} />
    </div>
  )
}

/** As soon as another input could go on its way, the next seed is asked for. */
function useEndlessDrawing(isOn: boolean, { room }: Live, setInput: (change: (input: Input) => Input) => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: room for an input brings the next
  useEffect(() => {
    if (isOn) setInput((input) => ({ ...input, seed: Number(input.seed ?? 0) + 1 }))
  }, [isOn, room, setInput])
}

/** Small and few steps: a picture has to be there before the next stroke. */
function liveStart({ input, document, pictureField }: Endpoint): Input {
  const start: Record<string, unknown> = { ...startingInput(input, document), seed: 42, num_inference_steps: 2 }
  if (input.properties?.image_size !== undefined && pictureField === undefined) start.image_size = 'square'
  if (input.properties?.enable_safety_checker !== undefined) start.enable_safety_checker = false
  if (input.properties?.guidance_scale !== undefined) start.guidance_scale = 1
  delete start.sync_mode
  return start
}

/** The endpoint without the fields that this page sets by itself. */
function withoutHandled(endpoint: Endpoint): Endpoint {
  const { properties = {}, required = [], ...rest } = endpoint.input
  const handled = new Set(['sync_mode', 'request_id', 'num_images', 'mask_url', endpoint.pictureField ?? ''])
  const kept = Object.fromEntries(Object.entries(properties).filter(([name]) => !handled.has(name)))
  const order = rest['x-fal-order-properties']?.filter((name) => !handled.has(name)) ?? []
  return { ...endpoint, input: { ...rest, properties: kept, required, 'x-fal-order-properties': order } }
}
