import { expect, test } from 'vitest'
import { SDXL_UNET } from '../../test/fixtures/sdxl-unet.ts'
import { attentionLayers } from '../models/attention-layers.ts'
import { parseUNetConfig } from '../models/unet-2d-condition-config.ts'
import { expandBlockScales } from './block-scales.ts'

const layers = attentionLayers(parseUNetConfig(SDXL_UNET))

/** Scales by transformer; those of a transformer's layers must agree. */
function expand(scales: Record<string, unknown>): Record<string, number> {
  const expanded = expandBlockScales(scales, layers, 'scale_json')
  const found: Record<string, number> = {}
  for (const [path, scale] of expanded) {
    const transformer = path.replace(/\.transformer_blocks.*/, '').replace('.attentions', '')
    expect(found[transformer] ?? scale).toBe(scale)
    found[transformer] = scale
  }
  return found
}

test('what is not named counts nothing: the style block of SDXL', () => {
  const { 'up_blocks.0.1': style, ...others } = expand({ up: { block_0: [0, 1, 0] } })
  expect(style).toBe(1)
  expect(Object.keys(others).length).toBe(10)
  expect(new Set(Object.values(others))).toEqual(new Set([0]))
})

test('numbers are for all below, and lists for the transformers of a block', () => {
  expect(expand({ down: { block_1: 0.5, block_2: [2, 3] }, mid: [4], up: 5 })).toEqual({
    'down_blocks.1.0': 0.5,
    'down_blocks.1.1': 0.5,
    'down_blocks.2.0': 2,
    'down_blocks.2.1': 3,
    'mid_block.0': 4,
    'up_blocks.0.0': 5,
    'up_blocks.0.1': 5,
    'up_blocks.0.2': 5,
    'up_blocks.1.0': 5,
    'up_blocks.1.1': 5,
    'up_blocks.1.2': 5,
  })
})

test.each([
  [{ sideways: 1 }, 'knows down, mid and up, got "sideways"'],
  [{ down: { block_0: 1 } }, 'down has attention in block_1, block_2 of this model, got "block_0"'],
  [{ up: { block_0: [1, 2] } }, 'up.block_0 has 3 transformers, got 2 scales'],
  [{ mid: [1, 2] }, 'mid has 1 transformer, got 2 scales'],
  [{ up: { block_0: 'all' } }, 'up.block_0 must be a number or a list of numbers, got "all"'],
  [{ down: { block_1: [1, Number.NaN] } }, 'down.block_1 must be a number'],
])('%j is refused', (scales, problem) => {
  expect(() => expand(scales)).toThrow(`scale_json: ${problem}`)
})
