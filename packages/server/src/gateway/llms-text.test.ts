import { expect, test } from 'vitest'
import { createGatewayRig } from '../../test/fakes/gateway-rig.ts'
import { lora } from '../endpoints/fal-ai/lora/schema.ts'
import { ENDPOINT_SCHEMAS } from '../processes/endpoints.ts'
import { llmsText } from './llms-text.ts'

const URLS = { run: 'http://here/run', queue: 'http://here/queue', base: 'http://here' }

test('tells of each field whether it is required, its type, default, range, options and examples', () => {
  const text = llmsText(lora, URLS)
  expect(text).toContain('- **`model_name`** (`string`, _required_):\n')
  expect(text).toContain('- **`loras`** (`list<LoraWeight>`, _optional_):\n')
  expect(text).toContain('- **`image_size`** (`ImageSize | Enum`, _optional_):\n')
  expect(text).toContain('  - Default: `"square_hd"`\n')
  expect(text).toContain('  - Range: from `0` to `18446744073709551615`\n')
  expect(text).toContain('  - Options: `"epsilon"`, `"v_prediction"`\n')
  expect(text).toContain('- **`debug_latents`** (`File`, _optional_):\n')
})

test('has every object that a field refers to, once', () => {
  const headings = [...llmsText(lora, URLS).matchAll(/^### `(\w+)`$/gm)].map(([, name]) => name)
  expect(headings.toSorted()).toEqual(
    [
      'ControlNet',
      'Embedding',
      'File',
      'IPAdapter',
      'Image',
      'ImageSize',
      'LoraWeight',
      'SigmasInput',
      'TimestepsInput',
    ].toSorted(),
  )
})

test.each(ENDPOINT_SCHEMAS.map((endpoint) => [endpoint.id, endpoint] as const))(
  'gives a body for %s that its schema takes',
  (_, endpoint) => {
    const [required, full] = [...llmsText(endpoint, URLS).matchAll(/^```json\n(.+)\n```$/gm)].map(([, json = '']) =>
      JSON.parse(json),
    )
    expect(endpoint.input.safeParse(required)).toMatchObject({ success: true })
    expect(endpoint.input.safeParse(full)).toMatchObject({ success: true })
    expect(full).toMatchObject(required)
  },
)

test('is answered under the model’s page, and a model that there is not with 404 in JSON', async () => {
  const rig = await createGatewayRig()
  const found = await rig.app.request('/models/acme/echo/twice/llms.txt')
  expect(found.headers.get('content-type')).toMatch(/^text\/plain/)
  expect(await found.text()).toContain('- **Model ID**: `acme/echo/twice`')
  const missing = await rig.app.request('/models/acme/no-such/llms.txt')
  expect(missing.status).toBe(404)
  expect(await missing.json()).toMatchObject({ detail: 'Application "no-such" not found' })
  await rig.close()
})
