import { afterAll, expect, test } from 'vitest'
import type { KeyRenames } from '../../src/checkpoint/component-weights.ts'
import { buildTextEncoderGraph, CLIP_TEXT_RENAMES } from '../../src/models/clip-text.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { openTextEncoderCase, outputsOutside, textEncoderErrors } from './graph-errors.ts'
import { ModelRunner } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

test.each([
  ['text-encoder-sd15', {}],
  ['text-encoder-lcm', CLIP_TEXT_RENAMES],
  ['text-encoder-sdxl-2', CLIP_TEXT_RENAMES],
  ['text-encoder-options', {}],
] satisfies [string, KeyRenames][])('%s gives every output of CLIPTextModel', async (name, renames) => {
  const found = await textEncoderErrors(runner, name, renames)
  expect(Object.keys(found.errors)).toContain('last_hidden_state')
  expect(outputsOutside(found)).toEqual([])
})

test('a graph for one hidden state leaves the later layers out and gives the same values', async () => {
  const { tensors, weights, tolerance, config, batch, feeds } = await openTextEncoderCase('text-encoder-sd15')
  const full = buildTextEncoderGraph(config, { batch, outputs: ['last_hidden_state'] })
  const graph = buildTextEncoderGraph(config, { batch, outputs: ['hidden_states.-2', 'normalized_hidden_states.-3'] })
  expect([...graph.weights.keys()].filter((key) => key.includes('layers.2'))).toEqual([])
  const actual = await runner.run(graph, await runner.weights(weights, [full]), feeds)
  expect(relativeError(actual['hidden_states.-2'], tensors.get('expected.hidden_states.2'))).toBeLessThan(tolerance)
  const normalized = tensors.get('expected.normalized_hidden_states.1')
  expect(relativeError(actual['normalized_hidden_states.-3'], normalized)).toBeLessThan(tolerance)
})
