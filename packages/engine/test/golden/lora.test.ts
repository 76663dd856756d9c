/** Values: scripts/golden/lora.py. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { openLora } from '../../src/adapters/lora.ts'
import { loraEdits } from '../../src/adapters/lora-edits.ts'
import { matchLora } from '../../src/adapters/lora-match.ts'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import { openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { WeightCache } from '../../src/checkpoint/prepared-weights.ts'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import { WorkerRuntime } from '../../src/runtime/worker-runtime.ts'

const data = (name: string) => fileURLToPath(new URL(`data/lora/${name}`, import.meta.url))
const models = fileURLToPath(new URL('../../../../models/', import.meta.url))
const header = JSON.parse(await readFile(data('lora.json'), 'utf8')) as { scale: number; tolerance: number }

const runtime = new WorkerRuntime({ threads: 1 })
const cache = new WeightCache()
afterAll(async () => {
  await runtime.dispose()
  await cache.dispose()
})

async function largestDifference(component: string, lora: string, scale: number): Promise<number> {
  const weights = await openWeightFile(component, data(`${component}.safetensors`))
  const expected = await readSafetensors(data(`${component}-${lora}.safetensors`))
  const loras = [{ lora: await openLora(data(`${lora}.safetensors`)), scale }]
  const { edits, matches } = loraEdits(weights, loras, runtime)
  if (!edits) throw new Error('no edits')
  expect(matches.flatMap(({ lora, match }) => [...lora.unused, ...match.unused])).toEqual([])
  expect([...edits.keys].toSorted()).toEqual([...expected.tensors.keys()].toSorted())
  const prepared = await cache.prepare(weights, { edits })
  let largest = 0
  for (const key of expected.tensors.keys()) {
    const merged = await readTensor(await readSafetensors(prepared.locate(key).path), key)
    const want = await readTensor(expected, key)
    expect(merged.shape).toEqual(want.shape)
    for (const [i, value] of want.data.entries())
      largest = Math.max(largest, Math.abs(value - (merged.data[i] as number)))
  }
  return largest
}

describe('merged weights equal peft’s', () => {
  test('kohya keys: linear layers, convolutions, an alpha for each', async () => {
    expect(await largestDifference('unet', 'kohya', header.scale)).toBeLessThan(header.tolerance)
  })

  test('kohya keys of a text encoder', async () => {
    expect(await largestDifference('text_encoder', 'kohya', header.scale)).toBeLessThan(header.tolerance)
  })

  test('peft keys, alpha in the metadata', async () => {
    expect(await largestDifference('unet', 'peft', 1)).toBeLessThan(header.tolerance)
  })
})

test.each(['pinhole-512', 'pinhole-1024'])('every module of the demo LCM-LoRA is found in %s', async (name) => {
  const checkpoint = await openCheckpoint(`${models}${name}`)
  const lora = await openLora(`${models}pinhole-lcm-lora/pytorch_lora_weights.safetensors`)
  const { tensors } = await checkpoint.component('unet').weights()
  const { weights, unused } = matchLora(lora, 'unet', tensors)
  expect({ modules: weights.length, unused: [...unused, ...lora.unused] }).toEqual({ modules: 129, unused: [] })
})
