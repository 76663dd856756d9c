import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { writeSafetensors } from '../../src/formats/safetensors.ts'
import { Graph } from '../../src/graph/graph.ts'
import { Scope } from '../../src/graph/scope.ts'
import { TorchGenerator } from '../../src/random/torch-generator.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { type FloatTensor, float32 } from '../../src/tensor/tensor.ts'
import { ModelRunner } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

const EPSILON = 1e-2

/** The definition, in double precision. */
function groupNorm(x: FloatTensor, groups: number, weight: FloatTensor, bias: FloatTensor): FloatTensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  const size = (channels / groups) * height * width
  const out = float32(x.shape)
  for (let start = 0; start < batch * groups * size; start += size) {
    const group = x.data.subarray(start, start + size)
    const mean = group.reduce((sum, value) => sum + value, 0) / size
    const variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size
    for (let i = start; i < start + size; i++) {
      const channel = Math.floor(i / (height * width)) % channels
      const normalized = ((x.data[i] as number) - mean) / Math.sqrt(variance + EPSILON)
      out.data[i] = normalized * (weight.data[channel] as number) + (bias.data[channel] as number)
    }
  }
  return out
}

test.each([
  ['small groups', [2, 6, 5, 7], 3],
  ['a group too large for one float32 sum', [1, 2, 512, 640], 1],
])('groupNorm of %s is exact to a few float32 steps', async (_, shape, groups) => {
  const generator = new TorchGenerator(3)
  const x = generator.randn(shape)
  for (let i = 0; i < x.data.length; i++) x.data[i] = (x.data[i] as number) * 0.2 + 1
  const [weight, bias] = [generator.randn([shape[1] as number]), generator.randn([shape[1] as number])]
  const graph = new Graph('group_norm')
  graph.output('y', new Scope(graph, 'norm').groupNorm(graph.input('x', 'float32', shape), groups, EPSILON))
  const folder = await mkdtemp(join(tmpdir(), 'group-norm-'))
  await writeSafetensors(join(folder, 'norm.safetensors'), { 'norm.weight': weight, 'norm.bias': bias })
  const weights = await runner.weightFile(join(folder, 'norm.safetensors'), [graph])
  const { y } = await runner.run(graph, weights, new Map([['x', x]]))
  await rm(folder, { recursive: true })
  expect(relativeError(y, groupNorm(x, groups, weight, bias))).toBeLessThan(2e-6)
})
