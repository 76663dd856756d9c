import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ComponentWeights, openWeightFile } from '../checkpoint/component-weights.ts'
import { readTensor, writeSafetensors } from '../formats/safetensors.ts'
import { WorkerRuntime } from '../runtime/worker-runtime.ts'
import { type FloatTensor, float32, type Shape, type Tensor } from '../tensor/tensor.ts'
import { type Lora, openLora } from './lora.ts'
import { loraEdits } from './lora-edits.ts'

let folder: string
let unet: ComponentWeights
const runtime = new WorkerRuntime({ threads: 1 })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lora-'))
  unet = await openFile('unet', {
    'mid.to_q.weight': counting([2, 3]),
    'mid.proj_in.weight': counting([2, 2, 1, 1]),
    'mid.norm.bias': counting([2]),
  })
})
afterAll(async () => {
  await runtime.dispose()
  await rm(folder, { recursive: true })
})

function counting(shape: Shape): FloatTensor {
  const tensor = float32(shape)
  for (const i of tensor.data.keys()) tensor.data[i] = i + 1
  return tensor
}

let fileCount = 0
async function write(tensors: Record<string, Tensor>): Promise<string> {
  const path = join(folder, `${++fileCount}.safetensors`)
  await writeSafetensors(path, tensors)
  return path
}

async function openFile(name: string, tensors: Record<string, Tensor>): Promise<ComponentWeights> {
  return openWeightFile(name, await write(tensors))
}

async function lora(tensors: Record<string, Tensor>): Promise<Lora> {
  return openLora(await write(tensors))
}

async function merge(key: string, loras: Parameters<typeof loraEdits>[1]): Promise<number[]> {
  const { edits } = loraEdits(unet, loras, runtime)
  const stored = unet.tensors.get(key)
  if (!edits || !stored) throw new Error(`nothing to merge into ${key}`)
  const merged = await edits.apply(key, await readTensor(stored.file, key))
  await edits.release?.()
  return [...merged.data]
}

const toQ = (values: number[], alpha?: number) => ({
  'lora_unet_mid_to_q.lora_down.weight': float32([1, 3], Float32Array.of(1, 0, -1)),
  'lora_unet_mid_to_q.lora_up.weight': float32([2, 1], Float32Array.from(values)),
  ...(alpha === undefined ? {} : { 'lora_unet_mid_to_q.alpha': float32([], Float32Array.of(alpha)) }),
})

test('alpha over rank and the scale multiply the change; no alpha is alpha = rank', async () => {
  expect(await merge('mid.to_q.weight', [{ lora: await lora(toQ([2, 4])) }])).toEqual([3, 2, 1, 8, 5, 2])
  expect(await merge('mid.to_q.weight', [{ lora: await lora(toQ([2, 4], 0.5)), scale: -2 }])).toEqual([
    -1, 2, 5, 0, 5, 10,
  ])
})

test('several LoRAs add, the same one twice too', async () => {
  const one = await lora(toQ([1, 0]))
  expect(await merge('mid.to_q.weight', [{ lora: one }, { lora: one, scale: 0.5 }])).toEqual([2.5, 2, 1.5, 4, 5, 6])
  const editsOf = (scale: number) => loraEdits(unet, [{ lora: one, scale }], runtime).edits?.identity
  expect(editsOf(1)).toBe(editsOf(1))
  expect(editsOf(1)).not.toBe(editsOf(0.5))
})

test('factors stored as matrices change a 1×1 convolution', async () => {
  const file = await lora({
    'unet.mid.proj_in.lora_A.weight': float32([1, 2], Float32Array.of(1, 1)),
    'unet.mid.proj_in.lora_B.weight': float32([2, 1], Float32Array.of(10, 20)),
  })
  expect(await merge('mid.proj_in.weight', [{ lora: file }])).toEqual([11, 12, 23, 24])
})

test('the bias of a module whose weight has a low-rank change', async () => {
  const withBias = await openFile('unet', { 'a.weight': counting([2, 3]), 'a.bias': counting([2]) })
  const file = await lora({
    'lora_unet_a.lora_down.weight': counting([1, 3]),
    'lora_unet_a.lora_up.weight': counting([2, 1]),
    'lora_unet_a.alpha': float32([], Float32Array.of(3)),
    'lora_unet_a.diff_b': counting([2]),
  })
  const { edits } = loraEdits(withBias, [{ lora: file, scale: 2 }], runtime)
  expect([...(edits?.keys ?? [])]).toEqual(['a.weight', 'a.bias'])
  expect((await edits?.apply('a.bias', counting([2])))?.data).toEqual(Float32Array.of(3, 6))
})

test('DoRA changes of the same weight are each taken from the base, and add', async () => {
  const file = await lora({
    ...toQ([1, 1]),
    'lora_unet_mid_to_q.dora_scale': float32([2, 1], Float32Array.of(10, 0)),
  })
  const once = await merge('mid.to_q.weight', [{ lora: file }])
  const base = [...counting([2, 3]).data]
  const twice = await merge('mid.to_q.weight', [{ lora: file }, { lora: file }])
  // The first row is [1, 2, 3] + [1, 0, -1], brought to the norm 10; the second to the norm 0.
  const row = 10 / Math.sqrt(12)
  expect(once.slice(0, 3).every((value) => Math.abs(value - 2 * row) < 1e-5)).toBe(true)
  expect(once.slice(3)).toEqual([0, 0, 0])
  for (const [i, value] of twice.entries()) {
    expect(value).toBeCloseTo(2 * (once[i] as number) - (base[i] as number), 5)
  }
})
