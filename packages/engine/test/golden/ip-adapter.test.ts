import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readIPAdapter } from '../../src/adapters/ip-adapter-file.ts'
import { openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { attentionLayers } from '../../src/models/attention-layers.ts'
import { buildIPAdapterGraph } from '../../src/models/ip-adapter-projections.ts'
import { parseUNetConfig } from '../../src/models/unet-2d-condition-config.ts'
import { DATA, ModelRunner, readCase, readConfig, relativeError, shapeOf } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

test.each([
  ['base', 'linear'],
  ['full', 'full'],
  ['plus', 'resampler'],
  ['instantid', 'resampler'],
  ['face-id', 'face-id'],
  ['face-id-portrait', 'face-id'],
  ['face-id-plus-v1', 'face-id-plus'],
  ['face-id-plus-v2', 'face-id-plus'],
])('%s gives the tokens, keys and values of diffusers', async (name, kind) => {
  const { tensors, weights, tolerance } = await readCase(`${name}-case`, 'conditioning')
  const layers = attentionLayers(parseUNetConfig(await readConfig('checkpoints/tiny-sd15/unet')))
  const path = join(DATA, weights)
  const { projection } = await readIPAdapter(await openWeightFile('ip_adapter', path), layers)
  expect(projection.kind).toBe(kind)
  const [batch] = shapeOf(tensors, 'features')
  const sequence = tensors.get('face_states') ?? tensors.get('features')
  const graph = buildIPAdapterGraph(projection, layers, {
    batch,
    length: sequence?.shape.length === 3 ? (sequence.shape[1] as number) : 1,
    shortcut: name === 'face-id-plus-v2',
  })
  const actual = await runner.run(graph, await runner.weightFile(path, [graph]), tensors)
  const expected = [...tensors].flatMap(([key, tensor]) =>
    key.startsWith('expected.') ? [[key.slice('expected.'.length), tensor] as const] : [],
  )
  expect(expected.map(([key]) => key).sort()).toEqual(Object.keys(actual).sort())
  const errors = expected.map(([key, tensor]) => [key, relativeError(actual[key], tensor)] as const)
  expect(errors.filter(([, error]) => !(error < tolerance))).toEqual([])
})
