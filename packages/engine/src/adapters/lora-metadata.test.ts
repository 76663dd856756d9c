import { expect, test } from 'vitest'
import { readPeftScales } from './lora-metadata.ts'

const scales = (config: unknown) => readPeftScales({ lora_adapter_metadata: JSON.stringify(config) })

test('lora_alpha over the rank, over its root when rank-stabilised, 1 without a configuration', () => {
  expect(scales({ 'unet.lora_alpha': 6 }).scaleOf('unet', 'a.to_q', 4)).toBe(1.5)
  expect(scales({ 'unet.lora_alpha': 6, 'unet.use_rslora': true }).scaleOf('unet', 'a.to_q', 4)).toBe(3)
  expect(scales({ 'unet.lora_alpha': 6 }).scaleOf('text_encoder', 'a.to_q', 4)).toBe(1)
  expect(readPeftScales({}).scaleOf('unet', 'a.to_q', 4)).toBe(1)
})

test('the first pattern that is the end of a path; with ^ the whole path alone', () => {
  const alphas = { '^to_q': 1, 'attn1.to_q': 2, to_q: 3, '^b\\.attn1\\.to_k$': 4, to_k: 5, o_v: 6 }
  const { scaleOf } = scales({ 'unet.lora_alpha': 10, 'unet.alpha_pattern': alphas })
  const alphaOf = (module: string) => scaleOf('unet', module, 1)
  expect(['to_q', 'b.attn1.to_q', 'b.attn2.to_q', 'b.attn1.to_k', 'a.b.attn1.to_k', 'b.to_v'].map(alphaOf)).toEqual([
    1, 2, 3, 4, 5, 10,
  ])
})

test('what is no configuration', () => {
  expect(() => readPeftScales({ lora_adapter_metadata: '{' })).toThrow('lora_adapter_metadata is not JSON')
  expect(() => readPeftScales({ lora_adapter_metadata: '3' })).toThrow('must be a JSON object')
  const pattern = scales({ 'unet.alpha_pattern': { '(a+)+$': 1 } })
  expect(() => pattern.scaleOf('unet', 'a', 1)).toThrow('has the pattern "(a+)+$"; only names of modules are read')
})
