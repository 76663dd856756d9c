/** What the page of fal-ai/lora documents, asked of the server as it is by the published clients. */
import { fal } from '@fal-ai/client'
import { InferenceClient } from '@huggingface/inference'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { lora, loraImageToImage, loraInpaint } from '../../src/endpoints/fal-ai/lora/schema.ts'
import { paintingWithLoras } from '../fakes/drawing-endpoints.ts'
import { answerForFal } from '../fakes/fal-hosts.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

const SDXL = 'stabilityai/stable-diffusion-xl-base-1.0'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const SCHEMAS = [lora, loraImageToImage, loraInpaint]
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGP4z8DAwPAfAAcAAf9+CLHQAAAAAElFTkSuQmCC'

let server: WholeServer
let restore: () => Promise<void>
let warn: { mockRestore(): void }
const inputs: Record<string, unknown>[] = []

beforeAll(async () => {
  warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  const endpoints = SCHEMAS.map((schema) =>
    paintingWithLoras(schema, (input) => inputs.push(input as Record<string, unknown>)),
  )
  server = await startWholeServer({ tls: true, endpoints })
  restore = answerForFal(server)
  fal.config({ credentials: server.key })
})

afterAll(async () => {
  warn.mockRestore()
  await restore()
  await server.close()
})

beforeEach(() => {
  inputs.length = 0
})

describe('the snippets, word for word', () => {
  test('subscribe', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const result = await fal.subscribe('fal-ai/lora', {
      input: {
        model_name: 'stabilityai/stable-diffusion-xl-base-1.0',
        prompt:
          'photo of a rhino dressed suit and tie sitting at a table in a bar with a bar stools, award winning photography',
      },
      logs: true,
      onQueueUpdate: (update) => {
        if (update.status === 'IN_PROGRESS') {
          update.logs.map((log) => log.message).forEach(console.log)
        }
      },
    })
    console.log(result.data)
    console.log(result.requestId)
    log.mockRestore()
    expect(result.requestId).toMatch(UUID)
    expect(Object.keys(result.data)).toEqual(['images', 'seed', 'has_nsfw_concepts'])
    expect(result.data.images[0]).toMatchObject({
      content_type: 'image/png',
      file_name: expect.stringMatching(/\.png$/),
    })
  })

  test('queue.submit, status, result', async () => {
    const { request_id } = await fal.queue.submit('fal-ai/lora', {
      input: {
        model_name: 'stabilityai/stable-diffusion-xl-base-1.0',
        prompt:
          'photo of a rhino dressed suit and tie sitting at a table in a bar with a bar stools, award winning photography',
      },
      webhookUrl: 'https://optional.webhook.invalid/for/results',
    })
    await fal.queue.subscribeToStatus('fal-ai/lora', { requestId: request_id, pollInterval: 20 })
    const status = await fal.queue.status('fal-ai/lora', {
      requestId: request_id,
      logs: true,
    })
    expect(status).toMatchObject({ status: 'COMPLETED', logs: [{ message: 'Step 1/1' }] })
    const result = await fal.queue.result('fal-ai/lora', {
      requestId: request_id,
    })
    expect(result.data.images).toHaveLength(1)
    expect(result.requestId).toBe(request_id)
  })
})

describe('huggingface.js', () => {
  /** The hub's answer to which endpoint draws with a LoRA. */
  const asHub: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.hostname !== 'huggingface.co') return fetch(input, init)
    const [, , , owner, name] = url.pathname.split('/')
    const offer = { providerId: 'fal-ai/lora', status: 'live', task: 'text-to-image', adapter: 'lora' }
    const inferenceProviderMapping = { 'fal-ai': { ...offer, adapterWeightsPath: `${name}.safetensors` } }
    return Response.json({ id: `${owner}/${name}`, inferenceProviderMapping })
  }

  test('draws with a LoRA of the hub', async () => {
    const client = new InferenceClient(server.key, { fetch: asHub })
    const picture = await client.textToImage(
      {
        provider: 'fal-ai',
        model: 'test/style',
        inputs: 'a king',
        parameters: { width: 512, height: 768, num_inference_steps: 12, guidance_scale: 6.5, seed: 5 },
      },
      { outputType: 'blob' },
    )
    expect([...new Uint8Array(await picture.arrayBuffer()).subarray(1, 4)]).toEqual([...Buffer.from('PNG')])
    expect(inputs).toEqual([
      expect.objectContaining({
        model_name: SDXL,
        prompt: 'a king',
        loras: [{ path: 'https://huggingface.co/test/style/resolve/main/style.safetensors', scale: 1 }],
        num_inference_steps: 12,
        guidance_scale: 6.5,
        seed: 5n,
      }),
    ])
  })
})

const BASE = { model_name: SDXL, prompt: 'a king' }
const OBJECTS = {
  loras: { path: 'a' },
  embeddings: { path: 'a' },
  controlnets: { path: 'a', image_url: PIXEL },
  ip_adapter: { path: 'a', ip_adapter_image_url: PIXEL },
}

type Field = readonly (string | number)[]

/** The least input that has a value at a place. */
function inputWith([name, ...rest]: Field, value: unknown): Record<string, unknown> {
  const field = String(name)
  if (rest.length === 0) return { ...BASE, [field]: value }
  const [first, second] = rest
  if (typeof first !== 'number') return { ...BASE, [field]: { [String(first)]: value } }
  const element = second === undefined ? value : { ...OBJECTS[field as keyof typeof OBJECTS], [second]: value }
  return { ...BASE, [field]: [element] }
}

async function ask(input: unknown, id = 'fal-ai/lora') {
  const response = await fetch(`https://fal.run/${id}`, {
    method: 'POST',
    headers: { authorization: `Key ${server.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(input),
  })
  const { detail } = (await response.json()) as { detail?: { loc: unknown; type: string }[] }
  return { status: response.status, detail }
}

const [TOO_SMALL, TOO_LARGE] = ['value_error.number.not_ge', 'value_error.number.not_le']
const [NO_NUMBER, NO_INTEGER, NO_BOOLEAN] = ['type_error.float', 'type_error.integer', 'type_error.bool']
const [NO_TEXT, NO_LIST, NO_OBJECT] = ['type_error.str', 'type_error.list', 'type_error.dict']
const [UNKNOWN, TOO_MANY, MISSING] = ['value_error.const', 'value_error.list.max_items', 'value_error.missing']

const times = (count: number, value: unknown) => new Array<unknown>(count).fill(value)

/** Each documented field: what its bounds take, and what lies outside, with pydantic's name for why. */
const FIELDS: readonly (readonly [
  Field,
  accepted: readonly unknown[],
  refused: readonly (readonly [unknown, string])[],
])[] = [
  [
    ['model_name'],
    ['', 'a/b'],
    [
      [null, 'type_error.none.not_allowed'],
      [[], NO_TEXT],
    ],
  ],
  [['unet_name'], [null, 'a/b'], [[{}, NO_TEXT]]],
  [['variant'], [null, 'fp16'], [[{}, NO_TEXT]]],
  [['prompt'], ['', 'x'.repeat(5000)], [[{}, NO_TEXT]]],
  [['negative_prompt'], ['', 'night'], [[[], NO_TEXT]]],
  [['prompt_weighting'], [true, false, 'on', 0], [['maybe', NO_BOOLEAN]]],
  [
    ['loras'],
    [[], times(32, { path: 'a' })],
    [
      [times(33, { path: 'a' }), TOO_MANY],
      ['a', NO_LIST],
    ],
  ],
  [['loras', 0, 'path'], ['https://huggingface.co/a/b/resolve/main/c.safetensors', 'owner/name'], [[[], NO_TEXT]]],
  [['loras', 0, 'scale'], [0, 1, -2.5, '0.5', 100], [['strong', NO_NUMBER]]],
  [['embeddings'], [[], [{ path: 'a' }]], [[times(2, { path: 'a' }), TOO_MANY]]],
  [['embeddings', 0, 'tokens'], [[], ['<s0>', '<s1>']], [['<s0>', NO_LIST]]],
  [['controlnets'], [[], times(32, OBJECTS.controlnets)], [[times(33, OBJECTS.controlnets), TOO_MANY]]],
  [['controlnets', 0, 'conditioning_scale'], [0, 1, -0.5, 2], [['x', NO_NUMBER]]],
  [
    ['controlnets', 0, 'start_percentage'],
    [0, 1],
    [
      [-0.01, TOO_SMALL],
      [1.01, TOO_LARGE],
    ],
  ],
  [
    ['controlnets', 0, 'end_percentage'],
    [0, 1],
    [
      [-0.01, TOO_SMALL],
      [1.01, TOO_LARGE],
    ],
  ],
  [['controlnets', 0, 'ip_adapter_index'], [null, 0, 3], [['first', NO_INTEGER]]],
  [['controlnets', 0, 'config_url'], [null], [[{}, NO_TEXT]]],
  [['controlnets', 0, 'variant'], [null, 'fp16'], [[{}, NO_TEXT]]],
  [['controlnets', 0, 'mask_url'], [null, PIXEL], [[{}, NO_TEXT]]],
  [['controlnet_guess_mode'], [true, false], [['maybe', NO_BOOLEAN]]],
  [['ip_adapter'], [[], times(32, OBJECTS.ip_adapter)], [[times(33, OBJECTS.ip_adapter), TOO_MANY]]],
  [['ip_adapter', 0, 'ip_adapter_image_url'], [PIXEL, [PIXEL, PIXEL]], [[{}, NO_TEXT]]],
  [['ip_adapter', 0, 'scale'], [0, 1, -1], [['x', NO_NUMBER]]],
  [['ip_adapter', 0, 'scale_json'], [null, {}, { down: { block_2: [0, 1] } }], [['x', NO_OBJECT]]],
  [
    ['ip_adapter', 0, 'unconditional_noising_factor'],
    [null, 0, 1],
    [
      [-0.1, TOO_SMALL],
      [1.1, TOO_LARGE],
    ],
  ],
  [['ip_adapter', 0, 'image_projection_shortcut'], [true, false], [['x', NO_BOOLEAN]]],
  [['ip_adapter', 0, 'model_subfolder'], [null, 'models'], [[{}, NO_TEXT]]],
  [['ip_adapter', 0, 'weight_name'], [null, 'a.bin'], [[{}, NO_TEXT]]],
  [['image_encoder_path'], [null, 'a/b'], [[{}, NO_TEXT]]],
  [['image_encoder_subfolder'], [null, 'models'], [[{}, NO_TEXT]]],
  [['image_encoder_weight_name'], ['a.bin'], [[{}, NO_TEXT]]],
  [['ic_light_model_url'], [null, 'a/b'], [[{}, NO_TEXT]]],
  [['ic_light_image_url'], [null, PIXEL], [[{}, NO_TEXT]]],
  [['ic_light_model_background_image_url'], [null, PIXEL], [[{}, NO_TEXT]]],
  [
    ['seed'],
    [null, 0, 1, '18446744073709551615'],
    [
      [-1, TOO_SMALL],
      ['18446744073709551616', TOO_LARGE],
    ],
  ],
  [
    ['image_size'],
    [
      'square_hd',
      'square',
      'portrait_4_3',
      'portrait_16_9',
      'landscape_4_3',
      'landscape_16_9',
      { width: 512, height: 768 },
    ],
    [['huge', NO_OBJECT]],
  ],
  [
    ['image_size', 'width'],
    [8, 14_136],
    [
      [0, 'value_error.number.not_gt'],
      [14_143, TOO_LARGE],
    ],
  ],
  [
    ['image_size', 'height'],
    [8, 14_136],
    [
      [0, 'value_error.number.not_gt'],
      [14_143, TOO_LARGE],
    ],
  ],
  [
    ['num_inference_steps'],
    [1, 150, '30'],
    [
      [0, TOO_SMALL],
      [151, TOO_LARGE],
      ['many', NO_INTEGER],
    ],
  ],
  [
    ['guidance_scale'],
    [0, 20],
    [
      [-0.1, TOO_SMALL],
      [20.1, TOO_LARGE],
    ],
  ],
  [
    ['clip_skip'],
    [0, 2],
    [
      [-1, TOO_SMALL],
      [3, TOO_LARGE],
    ],
  ],
  [
    ['scheduler'],
    [
      null,
      'DPM++ 2M',
      'DPM++ 2M Karras',
      'DPM++ 2M SDE',
      'DPM++ 2M SDE Karras',
      'Euler',
      'Euler A',
      'Euler (trailing timesteps)',
      'LCM',
      'LCM (trailing timesteps)',
      'DDIM',
      'TCD',
    ],
    [['Heun', UNKNOWN]],
  ],
  [['timesteps'], [{}, { method: 'default' }, { method: 'array', array: [999, 0] }], [['x', NO_OBJECT]]],
  [['timesteps', 'method'], ['default', 'array'], [['linear', UNKNOWN]]],
  [['timesteps', 'array'], [[], times(1000, 1)], [[times(1001, 1), TOO_MANY]]],
  [['sigmas', 'method'], ['default', 'array'], [['linear', UNKNOWN]]],
  [['sigmas', 'array'], [[], [14.6, 0]], [[times(1002, 1), TOO_MANY]]],
  [['prediction_type'], [null, 'epsilon', 'v_prediction'], [['sample', UNKNOWN]]],
  [['rescale_betas_snr_zero'], [true, false], [['x', NO_BOOLEAN]]],
  [['image_format'], ['jpeg', 'png'], [['webp', UNKNOWN]]],
  [
    ['num_images'],
    [1, 8],
    [
      [0, TOO_SMALL],
      [9, TOO_LARGE],
    ],
  ],
  [['enable_safety_checker'], [true, false], [['x', NO_BOOLEAN]]],
  [
    ['tile_width'],
    [128, 4096],
    [
      [127, TOO_SMALL],
      [4097, TOO_LARGE],
    ],
  ],
  [
    ['tile_height'],
    [128, 4096],
    [
      [127, TOO_SMALL],
      [4097, TOO_LARGE],
    ],
  ],
  [
    ['tile_stride_width'],
    [64, 2048],
    [
      [63, TOO_SMALL],
      [2049, TOO_LARGE],
    ],
  ],
  [
    ['tile_stride_height'],
    [64, 2048],
    [
      [63, TOO_SMALL],
      [2049, TOO_LARGE],
    ],
  ],
  [
    ['eta'],
    [0, 1],
    [
      [-0.1, TOO_SMALL],
      [1.1, TOO_LARGE],
    ],
  ],
  [['debug_latents'], [true, false], [['x', NO_BOOLEAN]]],
  [['debug_per_pass_latents'], [true, false], [['x', NO_BOOLEAN]]],
]

describe('each documented field', () => {
  test('is in the table', () => {
    const hidden = ['sync_mode']
    const named = new Set(FIELDS.map(([[name]]) => name))
    expect(Object.keys(lora.input.shape).filter((name) => !named.has(name) && !hidden.includes(name))).toEqual([])
  })

  test.each(FIELDS)('%j', async (field, accepted, refused) => {
    for (const value of accepted) {
      const { status, detail } = await ask(inputWith(field, value))
      expect({ value, status, detail }).toEqual({ value, status: 200, detail: undefined })
    }
    for (const [value, type] of refused) {
      const { status, detail } = await ask(inputWith(field, value))
      // A union answers for each of its branches.
      const first = detail?.[0]
      expect({ value, status, first }).toMatchObject({ value, status: 422, first: { loc: ['body', ...field], type } })
    }
  })

  test.each([
    [{ prompt: 'x' }, ['model_name']],
    [{ model_name: 'x' }, ['prompt']],
    [{ ...BASE, loras: [{ scale: 1 }] }, ['loras', 0, 'path']],
    [{ ...BASE, embeddings: [{}] }, ['embeddings', 0, 'path']],
    [{ ...BASE, controlnets: [{ image_url: PIXEL }] }, ['controlnets', 0, 'path']],
    [{ ...BASE, controlnets: [{ path: 'a' }] }, ['controlnets', 0, 'image_url']],
    [{ ...BASE, ip_adapter: [{ path: 'a' }] }, ['ip_adapter', 0, 'ip_adapter_image_url']],
  ])('%j lacks %j', async (input, field) => {
    expect(await ask(input)).toMatchObject({ status: 422, detail: [{ loc: ['body', ...field], type: MISSING }] })
  })

  test.each([
    ['fal-ai/lora/image-to-image', { ...BASE, image_url: PIXEL }],
    ['fal-ai/lora/inpaint', { ...BASE, image_url: PIXEL, mask_url: PIXEL }],
  ])('%s: its own', async (id, input) => {
    for (const noise_strength of [0, 1]) expect((await ask({ ...input, noise_strength }, id)).status).toBe(200)
    const refused = { ...input, noise_strength: 1.1, image_url: null }
    expect(await ask(refused, id)).toMatchObject({
      status: 422,
      detail: [{ loc: ['body', 'image_url'] }, { loc: ['body', 'noise_strength'], type: TOO_LARGE }],
    })
  })
})

test.each(SCHEMAS)('every example that $id publishes is accepted', async ({ id, input }) => {
  const base = { ...BASE, ...(id !== lora.id && { image_url: PIXEL, mask_url: PIXEL }) }
  let count = 0
  for (const [name, field] of Object.entries(input.shape)) {
    for (const example of (field.meta()?.examples as unknown[] | undefined) ?? []) {
      count++
      expect((await ask({ ...base, [name]: example }, id)).status).toBe(200)
    }
  }
  expect(count).toBeGreaterThan(2)
})
