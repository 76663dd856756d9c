import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeSafetensors } from '../formats/safetensors.ts'
import { type FloatTensor, float32, type Shape, type Tensor } from '../tensor/tensor.ts'
import { openLora, readChange } from './lora.ts'
import type { WeightChange } from './lora-weight-change.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lora-'))
})
afterAll(() => rm(folder, { recursive: true }))

let fileCount = 0
async function write(tensors: Record<string, Tensor>): Promise<string> {
  const path = join(folder, `${++fileCount}.safetensors`)
  await writeSafetensors(path, tensors)
  return path
}

const filled = (shape: Shape, value = 1): FloatTensor => {
  const tensor = float32(shape)
  tensor.data.fill(value)
  return tensor
}
const number = (value: number) => float32([], Float32Array.of(value))
const toQ = (down = filled([2, 3])) => ({
  'lora_unet_mid_to_q.lora_down.weight': down,
  'lora_unet_mid_to_q.lora_up.weight': filled([4, 2]),
})

test('what a file changes, by module', async () => {
  const path = await write({
    ...toQ(),
    'lora_unet_mid_to_q.alpha': number(1),
    'text_encoder.text_model.a.lokr_w1': filled([2, 2]),
    'text_encoder.text_model.a.lokr_w2_a': filled([2, 1]),
    'text_encoder.text_model.a.lokr_w2_b': filled([1, 2]),
    'text_encoder.text_model.a.alpha': number(3),
    'text_encoder.text_model.b.w_norm': filled([3]),
    'text_encoder.text_model.b.b_norm': filled([3]),
    'text_encoder.text_model.b.alpha': number(3),
  })
  const { modules, unused } = await openLora(path)
  expect(unused).toEqual([])
  expect(
    modules.map(({ component, name, dialect, rank, weight, bias }) => [
      component,
      name,
      dialect,
      rank,
      weight?.form.kind,
      weight?.scale,
      bias?.scale,
    ]),
  ).toEqual([
    ['unet', 'mid_to_q', 'kohya', 2, 'low-rank', 0.5, undefined],
    ['text_encoder', 'text_model.a', 'diffusers', 1, 'lokr', 3, undefined],
    ['text_encoder', 'text_model.b', 'diffusers', undefined, 'full', 1, 1],
  ])
})

test('halves of changes, second changes and other methods are named', async () => {
  const file = await openLora(
    await write({
      ...toQ(),
      'lora_unet_mid_to_q.diff': filled([2, 3]),
      'unet.mid_to_q.lora_A.weight': filled([2, 3]),
      'lora_unet_mid_to_v.hada_w1_a': filled([1, 1]),
      'lora_unet_mid_to_k.lora_up.weight': filled([2, 1]),
      'lora_unet_mid_to_o.oft_blocks': filled([2, 1]),
      'conv.weight': filled([1]),
    }),
  )
  expect(file.modules.map(({ name }) => name)).toEqual(['mid_to_q'])
  expect(Object.fromEntries(file.unused.map(({ key, reason }) => [key, reason]))).toEqual({
    'lora_unet_mid_to_q.diff': 'the weight of this module has another change already',
    'unet.mid_to_q.lora_A.weight': 'it repeats lora_unet_mid_to_q.lora_down.weight',
    'lora_unet_mid_to_v.hada_w1_a': 'its other half, or another part of the change, is missing',
    'lora_unet_mid_to_k.lora_up.weight': 'its other half, or another part of the change, is missing',
    'lora_unet_mid_to_o.oft_blocks': 'OFT or BOFT is not supported',
    'conv.weight': 'no LoRA has such a key',
  })
})

describe('files that are refused, in one sentence', () => {
  test.each<[string, Record<string, Tensor>, RegExp]>([
    ['another model', { 'conv.weight': filled([1]) }, /holds no LoRA: conv.weight: no LoRA has such a key$/],
    ['nothing', {}, /holds no LoRA: it has no tensors$/],
    [
      'halves alone',
      { 'lora_unet_a.lora_up.weight': filled([2, 1]) },
      /holds no LoRA: lora_unet_a.lora_up.weight: its other half, or another part of the change, is missing$/,
    ],
    [
      'an alpha of two',
      { ...toQ(), 'lora_unet_mid_to_q.alpha': filled([2]) },
      /alpha must be one number, it is \[2\]$/,
    ],
    [
      'an alpha that is none',
      { ...toQ(), 'lora_unet_mid_to_q.alpha': number(Number.NaN) },
      /alpha has values that are no finite numbers/,
    ],
    [
      'too many keys',
      Object.fromEntries(Array.from({ length: 50_001 }, (_, i) => [`lora_unet_${i}.alpha`, filled([0])])),
      /has 50001 keys; a LoRA of the largest model has some thousands$/,
    ],
  ])('%s', async (_, tensors, message) => {
    await expect(openLora(await write(tensors))).rejects.toThrow(message)
  })

  test('a truncated one', async () => {
    const path = await write(toQ())
    const { length } = await readFile(path)
    await truncate(path, length - 4)
    await expect(openLora(path)).rejects.toThrow(/this looks like a truncated download/)
  })

  test('a header that says it is longer than the file', async () => {
    const path = join(folder, 'long.safetensors')
    await writeFile(path, Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 0x7b, 0x7d]))
    await expect(openLora(path)).rejects.toThrow(/truncated download/)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('factors with %d', async (value) => {
    const path = await write(toQ(float32([2, 3], Float32Array.of(1, 2, 3, 4, value, 6))))
    const lora = await openLora(path)
    const change = lora.modules[0]?.weight as WeightChange<string>
    await expect(readChange(lora, change)).rejects.toThrow(
      /lora_down.weight has values that are no finite numbers; the file is damaged$/,
    )
  })

  test('a file that shrinks after its header was read', async () => {
    const path = await write(toQ())
    const lora = await openLora(path)
    const handle = await open(path, 'r+')
    await handle.truncate(200)
    await handle.close()
    await expect(readChange(lora, lora.modules[0]?.weight as WeightChange<string>)).rejects.toThrow(
      /the file ends after/,
    )
  })
})
