/** Single files of the original layout, written with diffusers' key maps, against the diffusers folders that they were made of. */
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkWeights } from '../../src/checkpoint/check-weights.ts'
import { type CheckpointOptions, openCheckpoint, openComponent } from '../../src/checkpoint/checkpoint.ts'
import { type ComponentWeights, readStoredTensor, type StoredTensor } from '../../src/checkpoint/component-weights.ts'
import {
  autoencoderConfig,
  controlNetConfig,
  textEncoderConfig,
  unetConfig,
} from '../../src/checkpoint/config-from-shapes.ts'
import { WeightCache } from '../../src/checkpoint/prepared-weights.ts'
import { familyOf, type PartName, partsOf } from '../../src/checkpoint/single-file-parts.ts'
import { partTensors } from '../../src/checkpoint/single-file-tensors.ts'
import { readSafetensors, readTensor, writeSafetensors } from '../../src/formats/safetensors.ts'
import { isPlain, type TensorEntry, type WeightFile } from '../../src/formats/stored-tensor.ts'
import { buildDecoderGraph, buildEncoderGraph } from '../../src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig } from '../../src/models/autoencoder-kl-config.ts'
import { buildTextEncoderGraph } from '../../src/models/clip-text.ts'
import { parseClipTextConfig } from '../../src/models/clip-text-config.ts'
import { parseControlNetConfig } from '../../src/models/controlnet-config.ts'
import { buildControlImageGraph, buildControlNetGraph } from '../../src/models/controlnet-model.ts'
import { buildUNetGraph } from '../../src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../src/models/unet-2d-condition-config.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { float16ToFloat32, float32ToFloat16 } from '../../src/tensor/float16.ts'
import { concatenate, elementCount, type FloatTensor, float32, type Shape } from '../../src/tensor/tensor.ts'
import { loadClipTokenizer } from '../../src/tokenizers/clip-tokenizer.ts'
import { deviation, readPipelineCases, runPipelineCase } from './pipeline-cases.ts'

const DATA = join(import.meta.dirname, 'data')
const HALF = join(DATA, 'single-files', 'tiny-sd15-half.ckpt')
const checkpoint = (name: string) => join(DATA, 'checkpoints', name)

let folder: string
const singleFiles = new Map<string, string>()
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'single-file-'))
  for (const name of ['tiny-sd15', 'tiny-sdxl']) singleFiles.set(name, await writeSingleFile(name))
})
afterAll(() => rm(folder, { recursive: true }))

const singleFile = (name: string): string => singleFiles.get(name) as string

/** A tiny checkpoint as one file, put together as the script's list says. */
async function writeSingleFile(name: string): Promise<string> {
  const lines = (await readFile(join(DATA, 'single-files', `${name}.txt`), 'utf8')).trim().split('\n')
  const opened = await openCheckpoint(checkpoint(name))
  const components = new Map<string, ComponentWeights>()
  const tensors: Record<string, FloatTensor> = {}
  for (const line of lines) {
    const [ldm = '', component = '', key = '', note] = line.split(' ')
    const weights = components.get(component) ?? (await opened.component(component).weights())
    components.set(component, weights)
    const tensor = await readStoredTensor(weights.tensors.get(key) as StoredTensor)
    const known = tensors[ldm]
    if (note === 'transposed') tensors[ldm] = transposed(tensor)
    else if (note === '1x1') tensors[ldm] = float32([...tensor.shape, 1, 1], tensor.data)
    else tensors[ldm] = known ? concatenate([known, tensor]) : tensor
  }
  const path = join(folder, `${name}.safetensors`)
  await writeSafetensors(path, tensors)
  return path
}

function transposed({ shape, data }: FloatTensor): FloatTensor {
  const [rows, columns] = shape as readonly [number, number]
  return float32(
    [columns, rows],
    Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)] as number),
  )
}

/** What the tiny checkpoints do not share with the published ones, and no shape shows. */
const TINY_CONFIGS = {
  'tiny-sd15': {
    unet: { attention_head_dim: 2, norm_num_groups: 4, sample_size: 16 },
    vae: { norm_num_groups: 4, sample_size: 64 },
    text_encoder: { num_attention_heads: 4 },
  },
  'tiny-sdxl': {
    unet: { attention_head_dim: [2, 4], norm_num_groups: 4, addition_time_embed_dim: 8, sample_size: 16 },
    vae: { norm_num_groups: 4, sample_size: 64 },
    text_encoder: { num_attention_heads: 4 },
    text_encoder_2: { num_attention_heads: 4 },
  },
} as const

type TinyName = keyof typeof TINY_CONFIGS
const TINY: readonly TinyName[] = ['tiny-sd15', 'tiny-sdxl']
const options = (name: TinyName): CheckpointOptions => ({ tokenizer: checkpoint(name), configs: TINY_CONFIGS[name] })

describe.each(TINY)('%s', (name) => {
  test('the same components, with the same tensors where they lie', async () => {
    const [file, diffusers] = [
      await openCheckpoint(singleFile(name), options(name)),
      await openCheckpoint(checkpoint(name)),
    ]
    expect(file.className).toBe(diffusers.className)
    expect(new Map(file.components)).toEqual(new Map(diffusers.components))
    for (const component of Object.keys(TINY_CONFIGS[name])) {
      const [found, wanted] = await Promise.all([
        file.component(component).weights(),
        diffusers.component(component).weights(),
      ])
      expect([...found.tensors.keys()].toSorted()).toEqual([...wanted.tensors.keys()].toSorted())
      for (const [key, stored] of found.tensors) {
        const original = await readStoredTensor(wanted.tensors.get(key) as StoredTensor)
        expect([key, await readStoredTensor(stored)]).toEqual([key, original])
        expect([key, isPlain(stored)]).toEqual([key, key !== 'text_projection.weight'])
      }
    }
  })

  test('the same configs, of what tensors and family tell', async () => {
    const [file, diffusers] = [
      await openCheckpoint(singleFile(name), options(name)),
      await openCheckpoint(checkpoint(name)),
    ]
    const parsers = {
      unet: parseUNetConfig,
      vae: parseAutoencoderConfig,
      text_encoder: parseClipTextConfig,
      text_encoder_2: parseClipTextConfig,
    }
    for (const component of Object.keys(TINY_CONFIGS[name]) as (keyof typeof parsers)[]) {
      const [found, wanted] = await Promise.all([
        file.component(component).config(),
        diffusers.component(component).config(),
      ])
      const ignored = component === 'text_encoder' ? { projectionSize: 0 } : {}
      expect({ ...parsers[component](found), ...ignored }).toEqual({ ...parsers[component](wanted), ...ignored })
      expect(found._class_name).toBe(wanted._class_name)
    }
    const [found, wanted] = await Promise.all([
      file.component('scheduler').config(),
      diffusers.component('scheduler').config(),
    ])
    expect(wanted).toMatchObject(found)
  })
})

test('float32 tensors are mapped in the file itself; only a transpose is written anew', async () => {
  const cache = new WeightCache({ folder: join(folder, 'prepared') })
  const path = await realpath(singleFile('tiny-sdxl'))
  const file = await openCheckpoint(path, options('tiny-sdxl'))
  for (const component of Object.keys(TINY_CONFIGS['tiny-sdxl'])) {
    const weights = await file.component(component).weights()
    const prepared = await cache.prepare(weights)
    const elsewhere = [...weights.tensors.keys()].filter((key) => prepared.locate(key).path !== path)
    expect(elsewhere).toEqual(component === 'text_encoder_2' ? ['text_projection.weight'] : [])
  }
})

test('each part of a file has an identity of its own', async () => {
  const file = await openCheckpoint(singleFile('tiny-sdxl'), options('tiny-sdxl'))
  const identities = await Promise.all(
    ['unet', 'vae', 'text_encoder'].map(async (name) => (await file.component(name).weights()).identity),
  )
  expect(new Set(identities).size).toBe(3)
})

test('a training checkpoint in half precision, with old names and leftovers', async () => {
  const [file, diffusers] = [
    await openCheckpoint(HALF, options('tiny-sd15')),
    await openCheckpoint(checkpoint('tiny-sd15')),
  ]
  expect(file.className).toBe('StableDiffusionPipeline')
  for (const component of ['unet', 'vae', 'text_encoder']) {
    const [found, wanted] = await Promise.all([
      file.component(component).weights(),
      diffusers.component(component).weights(),
    ])
    expect([...found.tensors.keys()].toSorted()).toEqual([...wanted.tensors.keys()].toSorted())
    for (const [key, stored] of found.tensors) {
      const { shape, data } = await readStoredTensor(wanted.tensors.get(key) as StoredTensor)
      expect([key, await readStoredTensor(stored)]).toEqual([
        key,
        float32(shape, float16ToFloat32(float32ToFloat16(data))),
      ])
    }
  }
})

test.each(TINY)('%s draws the latents that diffusers draws from the folder', async (name) => {
  const { cases, expected } = await readPipelineCases(join(DATA, 'pipelines'))
  const request = cases.find(
    ({ checkpoint, inpaint, scheduler }) => checkpoint === name && !inpaint && scheduler === null,
  )
  if (!request) throw new Error(`no case for ${name}`)
  const engine = openEngine({ threads: 1 })
  try {
    const model = await loadStableDiffusion(engine, singleFile(name), options(name))
    expect(deviation(await runPipelineCase(model, request), await expected(request.name)).latents).toBeLessThan(1e-4)
  } finally {
    await engine.dispose()
  }
})

describe('one model alone', () => {
  async function alone(name: string, prefix: string, target = ''): Promise<string> {
    const file = await readSafetensors(singleFile(name))
    const kept = [...file.tensors.keys()].filter((key) => key.startsWith(prefix))
    const entries = await Promise.all(
      kept.map(async (key) => [target + key.slice(prefix.length), await readTensor(file, key)] as const),
    )
    const path = join(folder, `${name}-${prefix}${target}alone`)
    await writeSafetensors(path, Object.fromEntries(entries))
    return path
  }

  test.each([
    ['unet', 'model.diffusion_model.', ''],
    ['unet', 'model.diffusion_model.', 'model.diffusion_model.'],
    ['vae', 'first_stage_model.', ''],
    ['vae', 'first_stage_model.', 'vae.'],
  ] as const)('a %s of the original layout (%s → %s)', async (component, prefix, target) => {
    const path = await alone('tiny-sd15', prefix, target)
    const found = await (await openComponent(path, component)).weights()
    const wanted = await (await openCheckpoint(checkpoint('tiny-sd15'))).component(component).weights()
    expect([...found.tensors.keys()].toSorted()).toEqual([...wanted.tensors.keys()].toSorted())
    await expect(openCheckpoint(path)).rejects.toThrow(
      /is no whole checkpoint: it holds a (UNet|VAE) and no .*text encoder/,
    )
  })

  test('of a whole checkpoint, or a file of diffusers’ own', async () => {
    const wanted = await (await openCheckpoint(checkpoint('tiny-sdxl'))).component('vae').weights()
    const whole = await openComponent(singleFile('tiny-sdxl'), 'vae')
    expect([...(await whole.weights()).tensors.keys()].toSorted()).toEqual([...wanted.tensors.keys()].toSorted())
    expect(await whole.config()).toMatchObject({ scaling_factor: 0.13025 })
    const own = await openComponent(join(checkpoint('tiny-sdxl'), 'vae/diffusion_pytorch_model.safetensors'), 'vae')
    expect([...(await own.weights()).tensors.keys()].toSorted()).toEqual([...wanted.tensors.keys()].toSorted())
    await expect(openComponent(singleFile('tiny-sdxl'), 'controlnet')).rejects.toThrow(/holds no controlnet, but unet/)
  })

  test('another UNet takes what its tensors do not show from the checkpoint’s own', async () => {
    const { cases, expected } = await readPipelineCases(join(DATA, 'pipelines'))
    const request = cases.find(
      ({ checkpoint, inpaint, scheduler }) => checkpoint === 'tiny-sdxl' && !inpaint && scheduler === null,
    )
    if (!request) throw new Error('no case')
    const engine = openEngine({ threads: 1 })
    try {
      for (const unet of [
        join(checkpoint('tiny-sdxl'), 'unet/diffusion_pytorch_model.safetensors'),
        await alone('tiny-sdxl', 'model.diffusion_model.'),
      ]) {
        const model = await loadStableDiffusion(engine, checkpoint('tiny-sdxl'), { unet })
        expect(deviation(await runPipelineCase(model, request), await expected(request.name)).latents).toBeLessThan(
          1e-4,
        )
      }
    } finally {
      await engine.dispose()
    }
  })
})

describe('tokenizers', () => {
  const tokenizerOf = async (given: CheckpointOptions, name: string, path = singleFile('tiny-sdxl')) => {
    const { folder: place, padToken } = (await openCheckpoint(path, given)).component(name)
    return loadClipTokenizer(place, padToken)
  }

  test('the second pads with its own token, whichever folder has the vocabulary', async () => {
    const own = await loadClipTokenizer(join(checkpoint('tiny-sdxl'), 'tokenizer_2'))
    const text = 'a cat! and a dog!!'
    for (const tokenizer of [
      checkpoint('tiny-sdxl'),
      checkpoint('tiny-sd15'),
      join(checkpoint('tiny-sd15'), 'tokenizer'),
    ]) {
      expect((await tokenizerOf({ tokenizer }, 'tokenizer_2')).encode(text)).toEqual(own.encode(text))
    }
    const first = await loadClipTokenizer(join(checkpoint('tiny-sd15'), 'tokenizer'))
    expect((await tokenizerOf({ tokenizer: checkpoint('tiny-sd15') }, 'tokenizer')).encode(text)).toEqual(
      first.encode(text),
    )
  })

  test('beside the file', async () => {
    const home = await mkdtemp(join(folder, 'home-'))
    await symlink(join(checkpoint('tiny-sd15'), 'tokenizer'), join(home, 'tokenizer'))
    const path = join(home, 'a.ckpt')
    await writeFile(path, await readFile(HALF))
    expect((await tokenizerOf({}, 'tokenizer', path)).vocabSize).toBe(1231)
  })

  test('of a file in a hub cache: beside its link, and the link gives its name', async () => {
    const snapshot = join(folder, 'models--owner--name', 'snapshots', 'abc')
    await mkdir(snapshot, { recursive: true })
    await symlink(HALF, join(snapshot, 'dream.ckpt'))
    await symlink(join(checkpoint('tiny-sd15'), 'tokenizer'), join(snapshot, 'tokenizer'))
    const opened = await openCheckpoint(join(snapshot, 'dream.ckpt'))
    expect(opened.source).toBe('owner/name/dream.ckpt')
    expect(opened.component('tokenizer').folder).toBe(join(snapshot, 'tokenizer'))
    const blob = join(folder, 'a1b2c3')
    await writeFile(blob, 'no weights at all')
    await symlink(blob, join(snapshot, 'broken.ckpt'))
    await expect(openCheckpoint(join(snapshot, 'broken.ckpt'))).rejects.toThrow(
      /^owner\/name\/broken.ckpt: this is no safetensors/,
    )
  })

  test('none: one sentence says what is missing', async () => {
    const opened = await openCheckpoint(singleFile('tiny-sdxl'))
    expect(() => opened.component('tokenizer_2')).toThrow(
      /^tiny-sdxl.safetensors is a single file, which has no vocabulary: CLIP's vocab.json and merges.txt are missing/,
    )
    expect(() => opened.component('feature_extractor')).toThrow(/has no component feature_extractor/)
  })
})

/** A file of published size, as far as names and shapes. */
async function publishedFile(...models: readonly (readonly [name: string, prefix: string])[]): Promise<WeightFile> {
  const tensors = new Map<string, TensorEntry>()
  for (const [name, prefix] of models) {
    const text = await readFile(join(DATA, 'ldm-keys', `${name}.txt`), 'utf8')
    for (const line of text.trim().split('\n')) {
      const [ldm = '', , sizes = '', note] = line.split(' ')
      const shape = sizes.split('x').map(Number)
      const stored = note?.endsWith('/3') ? [3 * (shape[0] as number), ...shape.slice(1)] : shape
      const key =
        prefix +
        ldm.replace(/^(model\.diffusion_model|first_stage_model|conditioner\.embedders\.1\.model|control_model)\./, '')
      tensors.set(key, { dtype: 'F16', shape: stored, offset: 0, length: 2 * elementCount(stored) })
    }
  }
  return { path: '/models/published.safetensors', size: 0, tensors, metadata: {} }
}

function withClip(file: WeightFile, prefix: string): WeightFile {
  const config = parseClipTextConfig({
    hidden_size: 768,
    intermediate_size: 3072,
    num_attention_heads: 12,
    eos_token_id: 2,
  })
  const graph = buildTextEncoderGraph(config, { batch: 1, tokens: 1, outputs: ['last_hidden_state'] })
  const clip = [...graph.weights].map(
    ([key, { shape }]) => [prefix + key, { dtype: 'F16', shape, offset: 0, length: 0 }] as const,
  )
  return { ...file, tensors: new Map<string, TensorEntry>([...file.tensors, ...clip]) }
}

describe('the published models', () => {
  const side = { batch: 1, height: 8, width: 8 }
  const model = (name: string, tensors: ReadonlyMap<string, StoredTensor>): ComponentWeights => ({
    name,
    source: 'published',
    files: [],
    tensors,
    identity: '',
  })
  const tensorsOf = (file: WeightFile, part: PartName) => {
    const found = partsOf(file).get(part)
    if (!found) throw new Error(part)
    return partTensors(file, part, found)
  }

  test.each([
    ['sd1', 'sd15-unet', 'cond_stage_model.transformer.', { context: 768, heads: [8, 8, 8], sample: 64 }],
    [
      'sdxl',
      'sdxl-unet',
      'conditioner.embedders.0.transformer.',
      { context: 2048, heads: [undefined, 10, 20], sample: 128 },
    ],
  ] as const)('%s', async (family, unet, clip, { context, heads, sample }) => {
    const text = family === 'sdxl' ? ([['bigg-text', 'conditioner.embedders.1.model.']] as const) : []
    const file = withClip(
      await publishedFile([unet, 'model.diffusion_model.'], ['vae', 'first_stage_model.'], ...text),
      clip,
    )
    expect(familyOf(file, partsOf(file))).toBe(family)
    const unetTensors = tensorsOf(file, 'unet')
    const unetParsed = parseUNetConfig(unetConfig(unetTensors))
    expect(unetParsed.crossAttentionChannels).toBe(context)
    expect(unetParsed.sampleSize).toEqual([sample, sample])
    expect(unetParsed.downBlocks.slice(0, 3).map(({ crossAttention }) => crossAttention?.heads)).toEqual(heads)
    checkWeights(model('unet', unetTensors), [buildUNetGraph(unetParsed, side)])

    const vaeTensors = tensorsOf(file, 'vae')
    const vae = parseAutoencoderConfig(autoencoderConfig(vaeTensors))
    checkWeights(model('vae', vaeTensors), [buildDecoderGraph(vae, side), buildEncoderGraph(vae, side)])

    const clipTensors = tensorsOf(file, 'clip')
    const clipParsed = parseClipTextConfig(textEncoderConfig(clipTensors, 'quick_gelu'))
    expect(clipParsed).toMatchObject({ layers: 12, heads: 12, hiddenSize: 768, intermediateSize: 3072, eosTokenId: 2 })
    checkWeights(model('text_encoder', clipTensors), [
      buildTextEncoderGraph(clipParsed, { batch: 1, tokens: 1, outputs: ['last_hidden_state'] }),
    ])
    if (family !== 'sdxl') return
    const bigTensors = tensorsOf(file, 'open_clip')
    const big = parseClipTextConfig(textEncoderConfig(bigTensors, 'gelu'))
    expect(big).toMatchObject({ layers: 32, heads: 20, projectionSize: 1280, activation: 'gelu' })
    checkWeights(model('text_encoder_2', bigTensors), [
      buildTextEncoderGraph(big, { batch: 1, tokens: 1, outputs: ['text_embeds'] }),
    ])
  })

  test.each(['control_model.', ''])('an SD1.5 ControlNet (prefix "%s")', async (prefix) => {
    const tensors = tensorsOf(await publishedFile(['sd15-controlnet', prefix]), 'controlnet')
    const config = parseControlNetConfig(controlNetConfig(tensors))
    expect(config.conditioningOutChannels).toEqual([16, 32, 96, 256])
    checkWeights(model('controlnet', tensors), [
      buildControlNetGraph(config, side),
      buildControlImageGraph(config, 64, 64),
    ])
  })

  const without = (file: WeightFile, pattern: RegExp): WeightFile => ({
    ...file,
    tensors: new Map([...file.tensors].filter(([key]) => !pattern.test(key))),
  })
  const plus = (file: WeightFile, key: string, shape: Shape): WeightFile => ({
    ...file,
    tensors: new Map([...file.tensors, [key, { dtype: 'F16', shape, offset: 0, length: 0 }]]),
  })

  test('what is no Stable Diffusion checkpoint is called by its name', async () => {
    const sd15 = await publishedFile(['sd15-unet', 'model.diffusion_model.'])
    expect(() => familyOf(sd15, partsOf(sd15))).toThrow('it holds a UNet and no VAE and text encoder')
    const refused = (file: WeightFile) => () => partsOf(file)
    expect(refused(plus(sd15, 'conditioner.embedders.0.model.ln_final.bias', [1280]))).toThrow(/SDXL refiner/)
    expect(refused(plus(sd15, 'model.diffusion_model.joint_blocks.0.x', [1]))).toThrow(/Stable Diffusion 3/)
    expect(refused(plus(sd15, 'double_blocks.0.img_attn.qkv.weight', [1]))).toThrow(/FLUX/)
    expect(refused(plus(sd15, 'lora_controlnet', []))).toThrow(/Control-LoRA/)
    expect(refused(plus(sd15, 'control_type_proj', []))).toThrow(/Union ControlNet/)
    const foreign = (key: string) => refused(plus({ ...sd15, tensors: new Map() }, key, [1]))
    expect(foreign('lora_unet_x.lora_up.weight')).toThrow(/is a LoRA, not a model/)
    expect(foreign('ip_adapter.1.to_k_ip.weight')).toThrow(/is an IP-Adapter, not a model/)
    expect(foreign('emb_params')).toThrow(/perhaps an embedding: emb_params/)
  })

  test('a tensor too many is found by the check against the graph', async () => {
    const file = plus(await publishedFile(['vae', 'first_stage_model.']), 'first_stage_model.encoder.extra.weight', [1])
    const tensors = tensorsOf(file, 'vae')
    const vae = parseAutoencoderConfig(autoencoderConfig(tensors))
    const graphs = [buildDecoderGraph(vae, side), buildEncoderGraph(vae, side)]
    expect(() => checkWeights(model('vae', tensors), graphs)).toThrow(/encoder.extra.weight: in the file, but/)
    const cut = tensorsOf(without(file, /extra|encoder\.conv_out/), 'vae')
    expect(() => checkWeights(model('vae', cut), graphs)).toThrow(/encoder.conv_out.weight: missing/)
  })
})

test('SD2: OpenCLIP without its last layer and its projection, padding with "!"', async () => {
  const [sd15, sdxl] = [await readSafetensors(singleFile('tiny-sd15')), await readSafetensors(singleFile('tiny-sdxl'))]
  const tensors: Record<string, FloatTensor> = {}
  for (const key of sd15.tensors.keys()) {
    if (!key.startsWith('cond_stage_model.')) tensors[key] = await readTensor(sd15, key)
  }
  for (const key of sdxl.tensors.keys()) {
    const [, name] = /^conditioner\.embedders\.1\.(.*)$/.exec(key) ?? []
    if (name === undefined) continue
    tensors[`cond_stage_model.${name}`] = await readTensor(sdxl, key)
    if (name.includes('.resblocks.2.')) {
      tensors[`cond_stage_model.${name.replace('.2.', '.23.')}`] = await readTensor(sdxl, key)
    }
  }
  const path = join(folder, 'sd2.safetensors')
  await writeSafetensors(path, tensors)
  const opened = await openCheckpoint(path, { tokenizer: checkpoint('tiny-sd15') })
  expect(Object.fromEntries(opened.components)).toMatchObject({
    text_encoder: 'CLIPTextModel',
    scheduler: 'DDIMScheduler',
  })
  expect(opened.component('tokenizer').padToken).toBe('!')
  expect(await opened.component('scheduler').config()).toMatchObject({ prediction_type: 'v_prediction' })
  const config = parseClipTextConfig(await opened.component('text_encoder').config())
  expect(config).toMatchObject({ layers: 3, hiddenSize: 24, activation: 'gelu' })
  const graph = buildTextEncoderGraph(config, { batch: 1, tokens: 1, outputs: ['last_hidden_state'] })
  checkWeights(await opened.component('text_encoder').weights(), [graph])
})

test('inpainting and velocity prediction are seen in the file', async () => {
  const file = await readSafetensors(singleFile('tiny-sdxl'))
  const tensors: Record<string, FloatTensor> = { v_pred: float32([0]), ztsnr: float32([0]) }
  for (const key of file.tensors.keys()) tensors[key] = await readTensor(file, key)
  tensors['model.diffusion_model.input_blocks.0.0.weight'] = float32([8, 9, 3, 3])
  const path = join(folder, 'marked.safetensors')
  await writeSafetensors(path, tensors)
  const opened = await openCheckpoint(path, options('tiny-sdxl'))
  expect(opened.className).toBe('StableDiffusionXLInpaintPipeline')
  expect(await opened.component('unet').config()).toMatchObject({ in_channels: 9 })
  expect(await opened.component('scheduler').config()).toMatchObject({
    prediction_type: 'v_prediction',
    rescale_betas_zero_snr: true,
  })
})
