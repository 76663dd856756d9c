import { afterAll, expect, test } from 'vitest'
import type { KeyRenames } from '../../src/checkpoint/component-weights.ts'
import {
  buildTextEncoderGraph,
  CLIP_TEXT_RENAMES,
  eosPositions,
  type TextEncoderOutput,
} from '../../src/models/clip-text.ts'
import { parseClipTextConfig } from '../../src/models/clip-text-config.ts'
import { float32, type Tensor } from '../../src/tensor/tensor.ts'
import { ModelRunner, readCase, readConfig, relativeError } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

async function openCase(name: string) {
  const { tensors, weights, tolerance } = await readCase(name)
  const config = parseClipTextConfig(await readConfig(weights))
  const ids = tensors.get('input_ids') as Tensor<'float32'>
  const [batch, tokens] = ids.shape as [number, number]
  const rows = Array.from({ length: batch }, (_, row) => Array.from(ids.data.slice(row * tokens, (row + 1) * tokens)))
  const positions = float32([batch], Float32Array.from(eosPositions(config, rows)))
  const feeds = new Map<string, Tensor>([
    ['input_ids', ids],
    ['eos_positions', positions],
  ])
  return { tensors, weights, tolerance, config, batch, tokens, feeds }
}

test.each([
  ['text-encoder-sd15', {}],
  ['text-encoder-lcm', CLIP_TEXT_RENAMES],
  ['text-encoder-sdxl-2', CLIP_TEXT_RENAMES],
  ['text-encoder-options', {}],
] satisfies [string, KeyRenames][])('%s gives every output of CLIPTextModel', async (name, renames) => {
  const { tensors, weights, tolerance, config, batch, tokens, feeds } = await openCase(name)
  const expected = [...tensors].filter(([key]) => key.startsWith('expected.'))
  const outputs = expected.map(([key]) => key.slice('expected.'.length) as TextEncoderOutput)
  const graph = buildTextEncoderGraph(config, { batch, tokens, outputs })
  const actual = await runner.run(graph, await runner.weights(weights, [graph], renames), feeds)
  const errors = outputs.map((output, i) => [output, relativeError(actual[output], expected[i]?.[1])] as const)
  expect(outputs).toContain('last_hidden_state')
  expect(errors.filter(([, error]) => !(error < tolerance))).toEqual([])
})

test('a graph for one hidden state leaves the later layers out and gives the same values', async () => {
  const { tensors, weights, tolerance, config, batch, feeds } = await openCase('text-encoder-sd15')
  const full = buildTextEncoderGraph(config, { batch, outputs: ['last_hidden_state'] })
  const graph = buildTextEncoderGraph(config, { batch, outputs: ['hidden_states.-2', 'normalized_hidden_states.-3'] })
  expect([...graph.weights.keys()].filter((key) => key.includes('layers.2'))).toEqual([])
  const actual = await runner.run(graph, await runner.weights(weights, [full]), feeds)
  expect(relativeError(actual['hidden_states.-2'], tensors.get('expected.hidden_states.2'))).toBeLessThan(tolerance)
  const normalized = tensors.get('expected.normalized_hidden_states.1')
  expect(relativeError(actual['normalized_hidden_states.-3'], normalized)).toBeLessThan(tolerance)
})
