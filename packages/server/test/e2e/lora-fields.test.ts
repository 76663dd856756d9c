/** What requests of the lora endpoints set, each for SD1.5 and SDXL, against diffusers: scripts/golden/lora_fields.py. */
import { readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  encodeSafetensors,
  readSafetensors,
  readTensor,
  writeSafetensors,
} from '../../../engine/src/formats/safetensors.ts'
import { relativeError } from '../../../engine/src/tensor/relative-error.ts'
import type { FloatTensor } from '../../../engine/src/tensor/tensor.ts'
import golden from '../../../engine/test/golden/data/lora-fields/cases.json' with { type: 'json' }
import { maskImage, type PipelineCase, startImage, widenToInpaint } from '../../../engine/test/golden/pipeline-cases.ts'
import { conditionedInput, dataUri, inputOf, type RequestedConditions } from './lora-requests.ts'
import { GOLDEN, type LoraServer, startLoraServer } from './lora-server.ts'

interface PlainCase extends PipelineCase {
  readonly prompt_weighting: string | null
  /** With a UNet that `otherUNet` makes. */
  readonly unet: boolean
  readonly rescale_betas: boolean
  readonly loras: readonly (readonly [name: string, scale: number])[]
  /** A file of a kind that diffusers does not load. */
  readonly added: string | null
}

const plain = golden.plain as unknown as readonly PlainCase[]
const conditioned = golden.conditioned as unknown as readonly RequestedConditions[]

describe('every field, SD1.5 and SDXL', { timeout: 120_000 }, async () => {
  const expected = await readSafetensors(join(GOLDEN, 'lora-fields/latents.safetensors'))
  let models: string
  let server: LoraServer

  beforeAll(async () => {
    models = await mkdtemp(join(tmpdir(), 'darkroom-models-'))
    for (const name of ['checkpoints', 'conditioning', 'lora', 'lora-fields', 'textual-inversion']) {
      await cp(join(GOLDEN, name), join(models, name), { recursive: true })
    }
    for (const name of ['tiny-sd15', 'tiny-sdxl']) {
      await widenToInpaint(join(GOLDEN, 'checkpoints', name), join(models, 'checkpoints', `${name}-inpainting`))
    }
    server = await startLoraServer(models)
  })

  afterAll(async () => {
    await server.stop()
    await rm(models, { recursive: true, force: true })
  })

  const draw = (id: string, input: Record<string, unknown>) => server.fal.subscribe(id, { input, pollInterval: 30 })
  const wanted = (name: string) => readTensor(expected, name)

  async function errorOf(input: Record<string, unknown>, name: string): Promise<number> {
    const { data } = await draw('fal-ai/lora', input)
    return relativeError(await server.latentsOf(data.debug_latents), await wanted(name))
  }

  it.each(plain)('$name', async (request) => {
    const { strength, inpaint, width, height, checkpoint } = request
    const input = {
      ...inputOf(request),
      prompt_weighting: request.prompt_weighting !== null,
      rescale_betas_snr_zero: request.rescale_betas,
      loras: request.loras.map(([name, scale]) => ({ path: `lora/${name}.safetensors`, scale })),
      ...(request.added && {
        loras: [{ path: `lora-fields/${request.added}.safetensors`, scale: golden.added_scale }],
      }),
      ...(request.unet && { unet_name: await otherUNet(checkpoint) }),
      ...(inpaint === 'trained' && { model_name: `checkpoints/${checkpoint}-inpainting` }),
      ...(strength !== null && { image_url: await dataUri(startImage(width, height)), noise_strength: strength }),
      ...(inpaint !== null && { mask_url: await dataUri(maskImage(width, height)) }),
    }
    const path = inpaint !== null ? '/inpaint' : strength !== null ? '/image-to-image' : ''
    const { data } = await draw(`fal-ai/lora${path}`, input)
    expect(relativeError(await server.latentsOf(data.debug_latents), await wanted(request.name))).toBeLessThan(1e-4)
    if (!expected.tensors.has(`${request.name}.passes`)) return
    const passes = await server.latentsOf(data.debug_per_pass_latents)
    expect(relativeError(passes, await wanted(`${request.name}.passes`))).toBeLessThan(1e-4)
  })

  // What `save_pretrained` of peft writes: the UNet's factors, and their alphas in a file beside them.
  it('a folder with adapter_model.safetensors and adapter_config.json', async () => {
    const source = await readSafetensors(join(GOLDEN, 'lora/peft-metadata.safetensors'))
    const { lora_adapter_metadata: text = '{}' } = source.metadata
    const options = Object.entries(JSON.parse(text) as Record<string, unknown>)
    const adapterConfig = options.flatMap(([key, value]) => (key.startsWith('unet.') ? [[key.slice(5), value]] : []))
    const parts: Record<'unet' | 'text', Record<string, FloatTensor>> = { unet: {}, text: {} }
    for (const key of source.tensors.keys()) {
      if (key.startsWith('unet.')) parts.unet[key.replace('unet.', 'base_model.model.')] = await readTensor(source, key)
      else parts.text[key] = await readTensor(source, key)
    }
    await mkdir(join(models, 'peft'))
    await writeSafetensors(join(models, 'peft/adapter_model.safetensors'), parts.unet)
    const encoded = JSON.stringify({ peft_type: 'LORA', ...Object.fromEntries(adapterConfig) })
    await writeFile(join(models, 'peft/adapter_config.json'), encoded)
    await writeSafetensors(join(models, 'text.safetensors'), parts.text, source.metadata)
    const name = 'sd15-peft'
    const input = {
      ...inputOf({ ...(plain[0] as PlainCase), scheduler: 'Euler', steps: 4 }),
      loras: ['peft', 'text.safetensors'].map((path) => ({ path, scale: 0.6 })),
    }
    const { data } = await server.fal.subscribe('fal-ai/lora', { input, pollInterval: 30 })
    const wanted = await readTensor(await readSafetensors(join(GOLDEN, 'lora/latents.safetensors')), name)
    expect(relativeError(await server.latentsOf(data.debug_latents), wanted)).toBeLessThan(1e-4)
  })

  it.each(conditioned)('$name', async (request) => {
    expect(await errorOf(await conditionedInput(request), request.name)).toBeLessThan(1e-4)
  })

  it.each(conditioned.filter(({ name }) => name.endsWith('-control-scale')))(
    '$name, a single file with its config elsewhere',
    async (request) => {
      const input = await conditionedInput(request)
      const controlnets = (input.controlnets as { readonly path: string }[]).map((control) => {
        const config = readFileSync(join(models, control.path, 'config.json'), 'base64')
        return {
          ...control,
          path: `${control.path}/diffusion_pytorch_model.safetensors`,
          config_url: `data:application/json;base64,${config}`,
        }
      })
      expect(await errorOf({ ...input, controlnets }, request.name)).toBeLessThan(1e-4)
    },
  )

  it('tiles that are smaller than the strides’ defaults, strides left out', async () => {
    const input = {
      ...inputOf({ ...(plain[0] as PlainCase), steps: 1, scheduler: 'DDIM' }),
      image_size: { width: 160, height: 160 },
      tile_width: 128,
      tile_height: 128,
    }
    const latents = async (strides: Record<string, number>) =>
      server.latentsOf((await draw('fal-ai/lora', { ...input, ...strides })).data.debug_latents)
    const touching = await latents({ tile_stride_width: 128, tile_stride_height: 128 })
    expect(await latents({})).toEqual(touching)
  })

  it('the log names keys that change nothing, and what is cut off a prompt', async () => {
    const input = {
      ...inputOf({ ...(plain[0] as PlainCase), checkpoint: 'tiny-sdxl', steps: 1, scheduler: 'DDIM' }),
      prompt: `${'red house '.repeat(60)}lighthouse`,
      loras: [{ path: 'lora/peft-metadata.safetensors', scale: 0.1 }],
    }
    const { requestId } = await draw('fal-ai/lora', input)
    const { logs } = (await server.fal.queue.status('fal-ai/lora', { requestId, logs: true })) as unknown as {
      logs: { readonly message: string; readonly level: string }[]
    }
    const warnings = logs.flatMap(({ message, level }) => (level.startsWith('WARN') ? [message] : []))
    expect(warnings).toEqual([
      expect.stringMatching(
        /^peft-metadata.safetensors: not applied, .* no such module: unet.down_blocks.0.attentions/,
      ),
      expect.stringMatching(/lighthouse/),
    ])
  })
})

/** The checkpoint's UNet with a weaker middle, as a file. */
async function otherUNet(checkpoint: string): Promise<string> {
  const file = await readSafetensors(
    join(GOLDEN, 'checkpoints', checkpoint, 'unet/diffusion_pytorch_model.safetensors'),
  )
  const tensors: Record<string, FloatTensor> = {}
  for (const key of file.tensors.keys()) {
    const { shape, data, dtype } = await readTensor(file, key)
    tensors[key] = { dtype, shape, data: key.startsWith('mid_block') ? data.map((value) => value * 0.75) : data }
  }
  return `data:application/octet-stream;base64,${Buffer.from(encodeSafetensors(tensors)).toString('base64')}`
}
