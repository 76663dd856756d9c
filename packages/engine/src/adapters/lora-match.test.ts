import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeSafetensors } from '../formats/safetensors.ts'
import { float32, type Shape } from '../tensor/tensor.ts'
import { type Lora, openLora } from './lora.ts'
import { type BaseWeights, describeUnused, matchLoraToBase, requireOwnBase } from './lora-match.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lora-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A LoRA of zeros with a pair of factors for each [module, in, out], and tensors of other shapes. */
async function lora(
  pairs: readonly (readonly [string, number, number])[],
  others: Record<string, Shape> = {},
): Promise<Lora> {
  const path = join(folder, 'some-lora.safetensors')
  const shapes = pairs.flatMap(([module, inputs, outputs]): [string, Shape][] => [
    [`${module}.lora_down.weight`, [2, inputs]],
    [`${module}.lora_up.weight`, [outputs, 2]],
  ])
  const tensors = [...shapes, ...Object.entries(others)].map(([key, shape]) => [key, float32(shape)] as const)
  await writeSafetensors(path, Object.fromEntries(tensors))
  return openLora(path)
}

const weights = (shapes: Record<string, Shape>): BaseWeights =>
  new Map(Object.entries(shapes).map(([key, shape]) => [key, { shape }]))

const UNET = weights({
  'conv_in.weight': [4, 9],
  'mid.to_k.weight': [4, 6],
  'mid.to_k.bias': [4],
  'mid.proj.weight': [4, 4],
})

test('what fits is used, the rest is named with its reason', async () => {
  const file = await lora(
    [
      ['lora_unet_mid_to_k', 6, 4],
      ['lora_unet_mid_to_z', 6, 4],
      ['lora_unet_conv_in', 4, 4],
      ['lora_te2_text_model_x', 4, 4],
    ],
    { 'lora_unet_mid_proj.diff_b': [4], 'lora_unet_mid_to_k.diff_b': [4], position_ids: [1] },
  )
  const { matches, unused } = matchLoraToBase(file, { unet: UNET })
  expect(matches.flatMap((match) => [...match.weights, ...match.biases].map(({ key }) => key))).toEqual([
    'mid.to_k.weight',
    'mid.to_k.bias',
  ])
  const noModule = "the base's unet has no such module"
  const misfit = 'factors [4,2] and [2,4] do not fit the weight [4,9]'
  expect(Object.fromEntries(unused.map(({ key, reason }) => [key, reason]))).toEqual({
    position_ids: 'no LoRA has such a key',
    'lora_te2_text_model_x.lora_down.weight': 'the base has no text_encoder_2',
    'lora_te2_text_model_x.lora_up.weight': 'the base has no text_encoder_2',
    'lora_unet_mid_to_z.lora_down.weight': noModule,
    'lora_unet_mid_to_z.lora_up.weight': noModule,
    'lora_unet_conv_in.lora_down.weight': misfit,
    'lora_unet_conv_in.lora_up.weight': misfit,
    'lora_unet_mid_proj.diff_b': "the base's mid.proj has no bias",
  })
  // An inpainting UNet has more input channels than its LoRAs were made for.
  expect(() => requireOwnBase(file, matches)).not.toThrow()
  expect(describeUnused(file, unused)).toEqual([
    'some-lora.safetensors: not applied, because no LoRA has such a key: position_ids',
    'some-lora.safetensors: not applied, because the base has no text_encoder_2: lora_te2_text_model_x.lora_down.weight, lora_te2_text_model_x.lora_up.weight',
    "some-lora.safetensors: not applied, because the base's unet has no such module: lora_unet_mid_to_z.lora_down.weight, lora_unet_mid_to_z.lora_up.weight",
    `some-lora.safetensors: not applied, because ${misfit}: lora_unet_conv_in.lora_down.weight, lora_unet_conv_in.lora_up.weight`,
    "some-lora.safetensors: not applied, because the base's mid.proj has no bias: lora_unet_mid_proj.diff_b",
  ])
})

test('a LoRA whose modules have another size is refused', async () => {
  const file = await lora([
    ['lora_unet_mid_proj', 4, 4],
    ['lora_unet_mid_to_k', 8, 4],
  ])
  const { matches } = matchLoraToBase(file, { unet: UNET })
  expect(() => requireOwnBase(file, matches)).toThrow(
    'Target modules of some-lora.safetensors not found in the base model in their size (mid_to_k: factors [4,2] and [2,8] do not fit the weight [4,6]); the LoRA is for another base model',
  )
})

test('a LoRA of which nothing applies is refused', async () => {
  const names = ['a', 'b', 'c', 'd', 'e'].map((name) => [`lora_unet_${name}`, 4, 4] as const)
  const file = await lora(names)
  const { matches } = matchLoraToBase(file, { unet: UNET })
  expect(() => requireOwnBase(file, matches)).toThrow(
    'Target modules {a, b, c and 2 more} not found in the base model; some-lora.safetensors is a LoRA for another base model',
  )
})
