/** Values: scripts/golden/lora.py. */

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { type Lora, openLora } from '../../src/adapters/lora.ts'
import { loraChanges } from '../../src/adapters/lora-changes.ts'
import { loraEdits } from '../../src/adapters/lora-edits.ts'
import type { LoraComponent } from '../../src/adapters/lora-keys.ts'
import { matchLora, matchLoraToBase, requireOwnBase } from '../../src/adapters/lora-match.ts'
import { multiplyMatrices } from '../../src/adapters/matrix-product.ts'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import type { ComponentWeights } from '../../src/checkpoint/component-weights.ts'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { WorkerRuntime } from '../../src/runtime/worker-runtime.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { type FloatTensor, float32 } from '../../src/tensor/tensor.ts'
import { finished } from './finished.ts'
import { DATA } from './model-case.ts'

interface Header {
  readonly scale: number
  readonly tolerance: number
  readonly cases: readonly { readonly name: string; readonly file: string; readonly checkpoint: string }[]
  readonly latents: readonly {
    readonly name: string
    readonly checkpoint: string
    readonly loras: readonly (readonly [string, number])[]
    readonly moved: number
  }[]
  readonly latentsTolerance: number
}

const data = (name: string) => `${DATA}/lora/${name}.safetensors`
const models = fileURLToPath(new URL('../../../../models/', import.meta.url))
const header = JSON.parse(await readFile(`${DATA}/lora/lora.json`, 'utf8')) as Header
const COMPONENTS = ['unet', 'text_encoder', 'text_encoder_2'] as const

const runtime = new WorkerRuntime({ threads: 1 })
const engine = openEngine({ threads: 1 })
afterAll(async () => {
  await runtime.dispose()
  await engine.dispose()
})

async function openBase(checkpoint: string): Promise<ReadonlyMap<LoraComponent, ComponentWeights>> {
  const opened = await openCheckpoint(`${DATA}/checkpoints/${checkpoint}`)
  const present = COMPONENTS.filter((name) => opened.components.has(name))
  return new Map(
    await Promise.all(present.map(async (name) => [name, await opened.component(name).weights()] as const)),
  )
}

function tensorsOf(base: ReadonlyMap<LoraComponent, ComponentWeights>) {
  return Object.fromEntries([...base].map(([name, { tensors }]) => [name, tensors]))
}

async function readAll(path: string): Promise<Map<string, FloatTensor>> {
  const file = await readSafetensors(path)
  const tensors = new Map<string, FloatTensor>()
  for (const key of file.tensors.keys()) tensors.set(key, await readTensor(file, key))
  return tensors
}

function difference(a: FloatTensor, b: FloatTensor): FloatTensor {
  return float32(
    a.shape,
    a.data.map((value, i) => value - (b.data[i] as number)),
  )
}

/** The largest change that merging makes, against what it should be, over the size of the latter. */
async function mergedErrors(
  lora: Lora,
  base: ReadonlyMap<LoraComponent, ComponentWeights>,
  scale: number,
  name: string,
) {
  const expected = await readAll(data(`${name}.deltas`))
  const errors: [string, number][] = []
  for (const [component, weights] of base) {
    const { edits } = loraEdits(weights, [{ lora, scale }], runtime)
    for (const key of edits?.keys ?? []) {
      const stored = weights.tensors.get(key)
      if (!edits || !stored) throw new Error(key)
      const before = await readTensor(stored.file, stored.storedKey)
      const delta = difference(await edits.apply(key, before), before)
      errors.push([`${component}/${key}`, relativeError(delta, expected.get(`${component}/${key}`))])
    }
    await edits?.release?.()
  }
  expect(errors.map(([key]) => key).toSorted()).toEqual([...expected.keys()].toSorted())
  return errors
}

describe.each(header.cases)('$name', ({ name, file, checkpoint }) => {
  test('every key is used and changes what it should, by what it should', async () => {
    const base = await openBase(checkpoint)
    const lora = await openLora(`${DATA}/lora/${file}`)
    const { matches, unused } = matchLoraToBase(lora, tensorsOf(base))
    expect(unused).toEqual([])
    requireOwnBase(lora, matches)
    const errors = await mergedErrors(lora, base, header.scale, name)
    expect(errors.filter(([, error]) => !(error < header.tolerance))).toEqual([])
  })
})

const TUCKER_LOHA = 'unet/down_blocks.2.resnets.0.conv2.weight'

/** Two LoRAs side by side, as they run beside the weights: up · down. */
test.each(['kohya', 'locon', 'kohya-sgm', 'loha'])(
  'factors of %s, twice, multiply to the sum of their changes',
  async (name) => {
    const lora = await openLora(data(name))
    const base = await openBase(name === 'kohya-sgm' ? 'tiny-sdxl' : 'tiny-sd15')
    const expected = await readAll(data(`${name}.deltas`))
    const unet = base.get('unet')?.tensors
    if (!unet) throw new Error('no UNet')
    const layers = new Map([...unet].map(([key, { shape }]) => [key.slice(0, key.lastIndexOf('.')), shape]))
    const loras = [
      { lora, scale: 1.5 * header.scale },
      { lora, scale: -0.5 * header.scale },
    ]
    const { changes, dense, unused } = loraChanges('unet', layers, loras, unet)
    // A product with Tucker cores is of no low rank.
    const merged = new Set(dense.map(({ matched }) => `unet/${matched.key}`))
    expect({ merged: [...merged], unused }).toEqual({ merged: name === 'loha' ? [TUCKER_LOHA] : [], unused: [] })
    const keys = [...expected.keys()].filter((key) => key.startsWith('unet/') && !merged.has(key))
    expect([...changes.keys()].map((path) => `unet/${path}.weight`).toSorted()).toEqual(keys.toSorted())
    for (const [path, change] of changes) {
      const { up, down } = await change.read()
      expect(up.shape[1]).toBe(change.rank)
      const [rows, inner] = up.shape as [number, number]
      const product = multiplyMatrices(up.data, down.data, { rows, inner, columns: down.data.length / inner })
      const delta = float32([rows, ...down.shape.slice(1)], product)
      expect(relativeError(delta, expected.get(`unet/${path}.weight`))).toBeLessThan(header.tolerance)
    }
  },
)

test.each(header.latents)('$name: final latents are those of diffusers', async ({ name, checkpoint, loras, moved }) => {
  const expected = (await readAll(data('latents'))).get(name)
  const model = await loadStableDiffusion(engine, `${DATA}/checkpoints/${checkpoint}`, {
    loras: loras.map(([file, scale]) => ({ path: data(file), scale })),
  })
  const run = textToImage(model, {
    prompt: 'a red house by the sea',
    negativePrompt: 'night',
    scheduler: { name: 'Euler' },
    schedule: { numInferenceSteps: 4 },
    guidanceScale: 5,
    seed: 7n,
    width: 64,
    height: 48,
  })
  const [image] = await finished(run)
  expect(relativeError(image?.latents, expected)).toBeLessThan(header.latentsTolerance)
  expect(moved).toBeGreaterThan(100 * header.latentsTolerance)
})

test.each([
  ['pinhole-512', 'pinhole-lcm-lora', 129],
  ['pinhole-512', 'pinhole-blueprint-lora', 129],
  ['pinhole-512', 'pinhole-duotone-lora', 56],
])('in %s every module of %s is found', async (base, name, modules) => {
  const checkpoint = await openCheckpoint(`${models}${base}`)
  const lora = await openLora(`${models}${name}/pytorch_lora_weights.safetensors`)
  const { tensors } = await checkpoint.component('unet').weights()
  const { weights, unused } = matchLora(lora, 'unet', tensors)
  expect({ modules: weights.length, unused: [...unused, ...lora.unused] }).toEqual({ modules, unused: [] })
})

test('a model is not loaded with a LoRA of another base, and says which keys change nothing', async () => {
  const warnings: string[] = []
  const loading = (name: string) =>
    loadStableDiffusion(engine, `${DATA}/checkpoints/tiny-sdxl`, {
      loras: [{ path: data(name), scale: 1 }],
      onWarning: (message) => warnings.push(message),
    })
  await expect(loading('attention-processors')).rejects.toThrow('the LoRA is for another base model')
  await loading('peft-metadata')
  expect(warnings).toEqual([
    expect.stringMatching(
      /^peft-metadata.safetensors: not applied, because the base's unet has no such module: unet.down_blocks.0.attentions.0.*and \d more$/,
    ),
  ])
})
