/** Values: scripts/golden/textual_inversion.py. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readEmbedding } from '../../src/adapters/textual-inversion.ts'
import { readSafetensors, readTensor, writeSafetensors } from '../../src/formats/safetensors.ts'
import { applyEmbeddings } from '../../src/pipelines/apply-embeddings.ts'
import { applyLoras, sortLoras } from '../../src/pipelines/apply-loras.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { type FloatTensor, float32, type Shape } from '../../src/tensor/tensor.ts'
import { finished } from './finished.ts'
import { DATA } from './model-case.ts'

interface Golden {
  readonly tolerance: number
  readonly cases: readonly {
    readonly key: string
    readonly file: string
    readonly checkpoint: string
    readonly tokens: readonly string[] | null
    readonly prompt: string
  }[]
  readonly latents: readonly {
    readonly name: string
    readonly file: string
    readonly checkpoint: string
    readonly tokens: readonly string[]
    readonly prompt: string
    readonly negative_prompt: string
    readonly clip_skip: number
    readonly loras: readonly (readonly [string, number])[]
  }[]
  readonly latentsTolerance: number
}

const FOLDER = join(DATA, 'textual-inversion')
const golden = JSON.parse(await readFile(join(FOLDER, 'cases.json'), 'utf8')) as Golden
const expected = await readSafetensors(join(FOLDER, 'expected.safetensors'))
const engine = openEngine({ threads: 1 })
const load = (checkpoint: string) => loadStableDiffusion(engine, join(DATA, 'checkpoints', checkpoint))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'embeddings-'))
})
afterAll(async () => {
  await engine.dispose()
  await rm(folder, { recursive: true })
})

test.each(golden.cases)('$key: $prompt', async ({ key, file, checkpoint, tokens, prompt }) => {
  const base = await load(checkpoint)
  const path = join(FOLDER, file)
  const { textEncoders } = await applyEmbeddings(base, [{ path, ...(tokens && { tokens }) }])
  for (const [k, encoder] of [textEncoders.first, textEncoders.second].entries()) {
    if (!encoder) continue
    const ids = await readTensor(expected, `${key}.ids${k}`)
    expect(encoder.tokenizer.encode(prompt)).toEqual([...ids.data])
  }
  const { embeds, pooledEmbeds } = await textEncoders.encode(prompt, 0)
  expect(relativeError(embeds, await readTensor(expected, `${key}.embeds`))).toBeLessThan(golden.tolerance)
  if (pooledEmbeds) {
    expect(relativeError(pooledEmbeds, await readTensor(expected, `${key}.pooled`))).toBeLessThan(golden.tolerance)
  }
})

test.each(golden.latents)('$name: final latents are those of diffusers', async (request) => {
  const base = await load(request.checkpoint)
  const loras = request.loras.map(([name, scale]) => ({ path: join(DATA, 'lora', `${name}.safetensors`), scale }))
  const embedding = { path: join(FOLDER, request.file), tokens: request.tokens }
  const model = await applyEmbeddings(base, [embedding])
  const run = textToImage(model, {
    prompt: request.prompt,
    negativePrompt: request.negative_prompt,
    scheduler: { name: 'Euler' },
    schedule: { numInferenceSteps: 4 },
    guidanceScale: 5,
    clipSkip: request.clip_skip,
    seed: 7n,
    width: 64,
    height: 48,
    adapters: await applyLoras(model, (await sortLoras(model, loras)).beside),
  })
  const [image] = await finished(run)
  const wanted = await readTensor(expected, `${request.name}.latents`)
  expect(relativeError(image?.latents, wanted)).toBeLessThan(golden.latentsTolerance)
})

describe('what comes of files', () => {
  let sd: StableDiffusion
  let sdxl: StableDiffusion
  let count = 0
  beforeAll(async () => {
    sd = await load('tiny-sd15')
    sdxl = await load('tiny-sdxl')
  })

  async function write(tensors: Readonly<Record<string, FloatTensor | Shape>>): Promise<string> {
    const path = join(folder, `${++count}.safetensors`)
    const entries = Object.entries(tensors).map(([key, value]) => [key, 'data' in value ? value : float32(value)])
    await writeSafetensors(path, Object.fromEntries(entries) as Record<string, FloatTensor>)
    return path
  }

  test('the base model stays as it is, and a second file adds to the first', async () => {
    const one = await write({ '<one>': float32([16], new Float32Array(16).fill(0.1)) })
    const two = await write({ '<two>': float32([2, 16], new Float32Array(32).fill(-0.1)) })
    const both = await applyEmbeddings(sd, [{ path: one }, { path: two, tokens: ['<zwei>'] }])
    const size = sd.textEncoders.first.tokenizer.vocabSize
    expect(both.textEncoders.first.tokenizer.tokenize('<one><zwei>')).toEqual([size, size + 1, size + 2])
    expect(sd.textEncoders.first.tokenizer.vocabSize).toBe(size)
    const separately = await applyEmbeddings(await applyEmbeddings(sd, [{ path: one }]), [
      { path: two, tokens: ['<zwei>'] },
    ])
    const prompt = 'a <zwei> of <one>'
    const [together, apart] = [both, separately].map(({ textEncoders }) => textEncoders.encode(prompt, 0))
    expect(relativeError((await apart)?.embeds, (await together)?.embeds)).toBeLessThan(1e-6)
  })

  test('the name that a file has, by form', async () => {
    const names = ['diffusers.safetensors', 'web-ui.pt', 'web-ui.safetensors', 'pivotal.safetensors', 'bare.pt']
    const found = await Promise.all(names.map(async (name) => (await readEmbedding(join(FOLDER, name))).token))
    expect(found).toEqual(['<cat-toy>', 'old-style', undefined, undefined, undefined])
  })

  test('an encoder for which a file has nothing is told', async () => {
    const warnings: string[] = []
    const path = await write({ '<one>': [16] })
    const { textEncoders } = await applyEmbeddings(sdxl, [{ path }], (message) => warnings.push(message))
    expect(textEncoders.second).toBe(sdxl.textEncoders.second)
    expect(warnings).toEqual(
      ['1.safetensors has nothing for text_encoder_2, which reads its words as text'].map((text) =>
        text.replace('1.', `${count}.`),
      ),
    )
  })

  test.each<[string, Record<string, FloatTensor | Shape>, readonly string[] | undefined, RegExp]>([
    [
      'another width',
      { '<one>': [768] },
      undefined,
      /has vectors of 768 numbers and the model takes 16; the embedding is for another base model$/,
    ],
    ['another width by name', { clip_l: [768] }, ['a'], /has vectors of 768 numbers for text_encoder, which takes 16/],
    ['the second encoder alone', { clip_g: [24] }, ['a'], /has vectors of 24 numbers and the model takes 16/],
    ['no tensors', {}, undefined, /holds no embedding: expected one tensor, .* found 0 \(\)$/],
    [
      'a LoRA',
      { 'lora_unet_a.lora_up.weight': [2, 2], 'lora_unet_a.lora_down.weight': [2, 2] },
      undefined,
      /holds no embedding: .* found 2/,
    ],
    [
      'a convolution',
      { 'conv.weight': [4, 4, 3, 3] },
      undefined,
      /must be one vector, or up to 1024 of them; it is \[4,4,3,3\]$/,
    ],
    ['nothing', { '<one>': [0, 16] }, undefined, /it is \[0,16\]$/],
    ['too many', { '<one>': [1025, 16] }, undefined, /it is \[1025,16\]$/],
    [
      'no number',
      { '<one>': float32([16], new Float32Array(16).fill(Number.NaN)) },
      undefined,
      /has values that are no finite numbers; the file is damaged$/,
    ],
    [
      'three vectors for two tokens',
      { '<one>': [3, 16] },
      ['a', 'b'],
      /has 3 vectors and was given 2 tokens; give it one token for all, or 3$/,
    ],
    ['no token', { emb_params: [3, 16] }, undefined, /needs a token$/],
    ['an empty token', { emb_params: [1, 16] }, [' '], /an embedding needs a token that is not empty/],
    ['a token that exists', { emb_params: [1, 16] }, ['red</w>'], /"red<\/w>" is already in the vocabulary/],
    ['a token twice', { emb_params: [2, 16] }, ['<A>', '<a>'], /"<a>" is already in the vocabulary/],
  ])('%s is refused in one sentence', async (_, tensors, tokens, message) => {
    const path = await write(tensors)
    await expect(applyEmbeddings(sd, [{ path, ...(tokens && { tokens }) }])).rejects.toThrow(message)
  })

  test('what is no file of weights', async () => {
    const path = join(folder, 'page.pt')
    await writeFile(path, '<!doctype html><title>404</title>')
    await expect(applyEmbeddings(sd, [{ path }])).rejects.toThrow(/page\.pt: this is a web page/)
  })
})
