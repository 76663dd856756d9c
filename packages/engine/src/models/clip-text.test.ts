import { describe, expect, test } from 'vitest'
import { buildTextEncoderGraph, eosPositions, type TextEncoderOutput } from './clip-text.ts'
import { parseClipTextConfig } from './clip-text-config.ts'

test('an empty config is CLIPTextConfig with its defaults', () => {
  const defaults = {
    vocabSize: 49408,
    hiddenSize: 512,
    intermediateSize: 2048,
    layers: 12,
    heads: 8,
    maxPositions: 77,
    activation: 'quick_gelu',
    normEpsilon: 1e-5,
    projectionSize: 512,
    eosTokenId: 49407,
  }
  expect(parseClipTextConfig({})).toEqual(defaults)
  expect(parseClipTextConfig({ model_type: 'clip', text_config: { hidden_size: 768 } })).toEqual({
    ...defaults,
    hiddenSize: 768,
  })
})

test.each([
  [{ hidden_act: 'gelu_new' }, 'hidden_act: expected "quick_gelu" or "gelu", found "gelu_new"'],
  [{ num_attention_heads: 7 }, 'num_attention_heads: expected a divisor of hidden_size 512, found 7'],
  [{ eos_token_id: [1, 2] }, 'eos_token_id: expected a number, found [1,2]'],
])('%j is refused', (json, message) => {
  expect(() => parseClipTextConfig(json)).toThrow(`CLIPTextModel config: ${message}`)
})

describe('the pooled position', () => {
  const ids = [
    [90, 5, 99, 7, 91],
    [90, 5, 7, 91, 91],
  ]

  test('is the first end of text', () => {
    expect(eosPositions(parseClipTextConfig({ eos_token_id: 91 }), ids)).toEqual([4, 3])
  })

  test('is the largest id where the config says 2, as published configs do', () => {
    expect(eosPositions(parseClipTextConfig({ eos_token_id: 2 }), ids)).toEqual([2, 3])
  })

  test('is the start where there is no end of text', () => {
    expect(eosPositions(parseClipTextConfig({ eos_token_id: 50 }), ids)).toEqual([0, 0])
  })
})

describe('outputs', () => {
  const config = parseClipTextConfig({
    num_hidden_layers: 3,
    hidden_size: 8,
    intermediate_size: 8,
    num_attention_heads: 2,
  })
  const layersOf = (...outputs: TextEncoderOutput[]) => {
    const { weights } = buildTextEncoderGraph(config, { batch: 1, outputs })
    return new Set([...weights.keys()].flatMap((key) => /layers\.(\d)/.exec(key)?.[1] ?? [])).size
  }

  test('need no more layers than they come from', () => {
    expect(layersOf('last_hidden_state')).toBe(3)
    expect(layersOf('hidden_states.-1')).toBe(3)
    expect(layersOf('hidden_states.-2')).toBe(2)
    expect(layersOf('normalized_hidden_states.1')).toBe(1)
    expect(layersOf('hidden_states.0')).toBe(0)
    expect(layersOf('hidden_states.0', 'text_embeds')).toBe(3)
  })

  test.each(['hidden_states.4', 'hidden_states.-5', 'normalized_hidden_states.1.5'] as const)(
    '%s is refused',
    (output) => {
      expect(() => layersOf(output)).toThrow(`${output}: the model has hidden states 0 … 3 (or −4 … −1)`)
    },
  )

  test('cannot be longer than the positions', () => {
    expect(() => buildTextEncoderGraph(config, { batch: 1, tokens: 78, outputs: ['last_hidden_state'] })).toThrow(
      '78 tokens, but 77 positions',
    )
  })
})
