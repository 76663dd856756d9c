import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ComponentWeights, openWeightFile } from '../../checkpoint/component-weights.ts'
import { WeightCache } from '../../checkpoint/prepared-weights.ts'
import { writeSafetensors } from '../../formats/safetensors.ts'
import { Graph } from '../../graph/graph.ts'
import { Scope } from '../../graph/scope.ts'
import { float32 } from '../../tensor/tensor.ts'
import { sweepLinkedModels, writeLinkedModel } from './linked-model.ts'

let root: string
let folder: string
let source: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'linked-'))
  folder = join(root, 'graphs')
  source = join(root, 'model.safetensors')
})
afterEach(() => rm(root, { recursive: true }))

async function write(value: number): Promise<string> {
  await writeSafetensors(source, {
    'fc.weight': float32([2, 3], new Float32Array(6).fill(value)),
    'fc.bias': float32([2]),
  })
  const graph = new Graph('tiny', { toleratesReducedPrecision: true })
  graph.output('y', new Scope(graph, 'fc').linear(graph.input('x', 'float32', [1, 3]), 2))
  const weights = await new WeightCache().prepare(await openWeightFile('tiny', source))
  return (await writeLinkedModel(graph, weights, { folder, convolutions: 'direct' })).path
}

test('the weights are a second name of the same file, and the same graph has the same path and time', async () => {
  const path = await write(1)
  const [own, linked] = [await stat(source), await stat(join(dirname(path), 'model.bin'))]
  expect([linked.ino, linked.nlink]).toEqual([own.ino, 2])
  expect((await readFile(path)).includes('model.bin')).toBe(true)
  const { mtimeMs } = await stat(path)
  expect(await readdir(dirname(path))).toEqual(['model.bin', 'model.onnx'])
  const before = await stat(source)
  const again = await openAgain(path)
  expect(again).toEqual({ path, mtimeMs, entries: 2 })
  expect((await stat(source)).nlink).toBe(before.nlink)
})

async function openAgain(known: string) {
  const graph = new Graph('tiny', { toleratesReducedPrecision: true })
  graph.output('y', new Scope(graph, 'fc').linear(graph.input('x', 'float32', [1, 3]), 2))
  const weights = await new WeightCache().prepare(await openWeightFile('tiny', source))
  const { path } = await writeLinkedModel(graph, weights, { folder, convolutions: 'direct' })
  return { path, mtimeMs: (await stat(known)).mtimeMs, entries: (await readdir(dirname(path))).length }
}

test('other weights are another path', async () => {
  const first = await write(1)
  await rm(source)
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(await write(2)).not.toBe(first)
})

test('nothing compiled is kept of weights in several files', async () => {
  const graph = new Graph('tiny', { toleratesReducedPrecision: true })
  const root = new Scope(graph)
  const hidden = root.child('first').linear(graph.input('x', 'float32', [1, 3]), 3)
  graph.output('y', root.child('second').linear(hidden, 3))
  const other = `${source}.2`
  for (const [path, name] of [
    [source, 'first'],
    [other, 'second'],
  ] as const) {
    await writeSafetensors(path, { [`${name}.weight`]: float32([3, 3]), [`${name}.bias`]: float32([3]) })
  }
  const parts = [await openWeightFile('tiny', source), await openWeightFile('tiny', other)]
  const whole = { ...parts[0], tensors: new Map(parts.flatMap(({ tensors }) => [...tensors])) } as ComponentWeights
  const { path, cacheFolder } = await writeLinkedModel(graph, await new WeightCache().prepare(whole), {
    folder,
    convolutions: 'direct',
  })
  expect(cacheFolder).toBeUndefined()
  expect(await readdir(dirname(path))).toEqual(['model.onnx', 'weights-0', 'weights-1'])
})

test('what has lost its weights goes after a day, and everything after a month', async () => {
  const path = await write(1)
  const [own, stranger] = [dirname(path), join(folder, 'stranger')]
  await writeFile(join(own, '1.blob'), 'compiled')
  await mkdir(stranger)
  await writeFile(join(stranger, 'weights-0'), 'a copy')
  const days = async (count: number) => {
    const then = new Date(Date.now() - count * 24 * 3600_000)
    for (const each of [own, stranger]) await utimes(each, then, then).catch(() => {})
    await sweepLinkedModels(folder)
    return readdir(folder)
  }
  expect(await days(0.5)).toHaveLength(2)
  expect(await days(2)).toEqual([own.slice(folder.length + 1)])
  await rm(source)
  expect(await days(0.5)).toHaveLength(1)
  expect(await days(2)).toEqual([])
  await sweepLinkedModels(join(root, 'nowhere'))
})
