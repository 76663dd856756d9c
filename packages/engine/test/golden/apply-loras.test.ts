/** A request's LoRAs on a loaded model against the same LoRAs merged into it, whose weights are held against peft in lora.test.ts. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeSafetensors } from '../../src/formats/safetensors.ts'
import { applyLoras, sortLoras } from '../../src/pipelines/apply-loras.ts'
import type { Adapters } from '../../src/pipelines/draw-images.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../../src/tensor/tensor.ts'
import { finished } from './finished.ts'

const checkpoint = (name: string) => new URL(`data/checkpoints/${name}`, import.meta.url).pathname

const engine = openEngine({ threads: 1 })
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'apply-loras-'))
})
afterAll(async () => {
  await engine.dispose()
  await rm(folder, { recursive: true })
})

async function latents(model: StableDiffusion, adapters: Adapters): Promise<FloatTensor> {
  const run = textToImage(model, {
    prompt: 'a red house by the sea',
    negativePrompt: 'night',
    scheduler: { name: 'Euler' },
    schedule: { numInferenceSteps: 3 },
    guidanceScale: 4,
    seed: 5n,
    width: 64,
    height: 48,
    adapters,
  })
  return (await finished(run))[0]?.latents as FloatTensor
}

function wave(shape: Shape, phase: number): FloatTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => 0.3 * Math.sin(i * 12.9898 + phase)),
  )
}

/** A kohya file of some layers of each part of a model. */
async function writeLora(model: StableDiffusion, every: number, rank: number): Promise<string> {
  const tensors: Record<string, FloatTensor> = {}
  const { first, second } = model.textEncoders
  const parts = { lora_unet: model.unet, lora_te1: first, ...(second && { lora_te2: second }) }
  for (const [prefix, { layers }] of Object.entries(parts)) {
    for (const [i, [path, [out, ...rest]]] of [...layers].entries()) {
      if (i % every !== 0) continue
      const name = `${prefix}_${path.replaceAll('.', '_')}`
      tensors[`${name}.lora_down.weight`] = wave([rank, ...rest], i)
      tensors[`${name}.lora_up.weight`] = wave([out as number, rank, ...rest.slice(1).map(() => 1)], i + 1)
      tensors[`${name}.alpha`] = float32([], Float32Array.of(rank / 3))
    }
  }
  const path = join(folder, `${model.kind}-${every}.safetensors`)
  await writeSafetensors(path, tensors)
  return path
}

describe.each(['tiny-sd15', 'tiny-sdxl'])('%s', (name) => {
  test('two LoRAs of UNet and text encoders, one of them negative', async () => {
    const model = await loadStableDiffusion(engine, checkpoint(name))
    const loras = [
      { path: await writeLora(model, 2, 3), scale: 0.8 },
      { path: await writeLora(model, 3, 5), scale: -0.5 },
    ]
    const { beside, merged } = await sortLoras(model, loras)
    expect(merged).toEqual([])
    const adapters = await applyLoras(model, beside)
    expect(Object.keys(adapters.textEncoders ?? {})).toHaveLength(model.textEncoders.second ? 2 : 1)
    const wanted = await latents(await loadStableDiffusion(engine, checkpoint(name), { loras }), {})
    expect(relativeError(await latents(model, adapters), wanted)).toBeLessThan(1e-4)
    expect(relativeError(await latents(model, {}), wanted)).toBeGreaterThan(1e-2)
    const { unet } = adapters
    expect(relativeError(await latents(model, { unet: unet ?? [] }), wanted)).toBeGreaterThan(1e-3)
  })

  test('what is not of low rank is to be merged, and what fits nowhere is another base’s', async () => {
    const model = await loadStableDiffusion(engine, checkpoint(name))
    const [path, shape] = [...model.unet.layers][4] as [string, Shape]
    const whole = join(folder, `${name}-whole.safetensors`)
    await writeSafetensors(whole, { [`lora_unet_${path.replaceAll('.', '_')}.diff`]: wave(shape, 0) })
    const file = { path: whole, scale: 1 }
    expect(await sortLoras(model, [file])).toEqual({ beside: [], merged: [file] })
    const foreign = join(folder, `${name}-foreign.safetensors`)
    await writeSafetensors(foreign, {
      'lora_unet_nowhere.lora_down.weight': wave([2, 3], 0),
      'lora_unet_nowhere.lora_up.weight': wave([3, 2], 0),
    })
    await expect(sortLoras(model, [{ path: foreign, scale: 1 }])).rejects.toThrow('Target modules {nowhere} not found')
  })
})
