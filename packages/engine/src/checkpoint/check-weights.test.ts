import { describe, expect, test } from 'vitest'
import type { Shape } from '../tensor/tensor.ts'
import { type CheckOptions, checkWeights } from './check-weights.ts'
import { CheckpointError } from './checkpoint-error.ts'
import type { ComponentWeights, StoredTensor } from './component-weights.ts'

type Shapes = Readonly<Record<string, Shape>>

function component(shapes: Shapes): ComponentWeights {
  const file = { path: 'unet.safetensors', size: 0, tensors: new Map(), metadata: {} }
  const tensors = Object.entries(shapes).map(([key, shape]): [string, StoredTensor] => [
    key,
    { dtype: 'F32', shape, offset: 0, length: 0, file, storedKey: key },
  ])
  return { name: 'unet', source: 'a model', files: [file], tensors: new Map(tensors), identity: '' }
}

const graph = (shapes: Shapes) => ({ weights: new Map(Object.entries(shapes).map(([key, shape]) => [key, { shape }])) })

const SD15 = { 'conv_in.weight': [320, 4, 3, 3], 'a.attn2.to_k.weight': [320, 768], 'norm.bias': [320] }

function problem(found: Shapes, expected: Shapes = SD15, options: CheckOptions = {}): string {
  try {
    checkWeights(component(found), [graph(expected)], options)
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError)
    return (error as Error).message
  }
  return 'none'
}

test('what fits is accepted, with buffers and ignored keys', () => {
  expect(problem(SD15)).toBe('none')
  expect(
    problem({ ...SD15, 'embeddings.position_ids': [1, 77], logit_scale: [] }, SD15, { ignoredKeys: /^logit/ }),
  ).toBe('none')
})

test('several graphs share a component; keys that none uses can be named', () => {
  const whole = component({ 'encoder.w': [1], 'decoder.w': [1] })
  const [encoder, decoder] = [graph({ 'encoder.w': [1] }), graph({ 'decoder.w': [1] })]
  expect(() => checkWeights(whole, [encoder, decoder])).not.toThrow()
  expect(() => checkWeights(whole, [decoder], { expectedKeys: ['encoder.w'] })).not.toThrow()
  expect(() => checkWeights(whole, [decoder])).toThrow(
    /encoder.w: in the file, but config.json describes no such layer/,
  )
})

test('a tensor that will be edited has the shape that it will have', () => {
  const found = { 'conv_in.weight': [320, 4, 3, 3] }
  const expected = { 'conv_in.weight': [320, 8, 3, 3] }
  expect(problem(found, expected)).toMatch(/expected \[320, 8, 3, 3\]/)
  expect(problem(found, expected, { editedShapes: new Map([['conv_in.weight', [320, 8, 3, 3]]]) })).toBe('none')
})

describe('names keys and the likely cause', () => {
  test.each<[string, Shapes, Shapes, RegExp]>([
    [
      'inpainting',
      { ...SD15, 'conv_in.weight': [320, 9, 3, 3] },
      SD15,
      /conv_in.weight: expected \[320, 4, 3, 3\] from config.json, found \[320, 9, 3, 3\]\. This looks like an inpainting/,
    ],
    ['SDXL weights', { ...SD15, 'a.attn2.to_k.weight': [320, 2048] }, SD15, /look like an SDXL checkpoint/],
    ['SD2 weights', { ...SD15, 'a.attn2.to_k.weight': [320, 1024] }, SD15, /look like an SD2.x checkpoint/],
    [
      'add_embedding',
      { ...SD15, 'add_embedding.linear_1.bias': [1] },
      SD15,
      /SDXL checkpoint with another model's config/,
    ],
    ['LCM', { ...SD15, 'time_embedding.cond_proj.weight': [1] }, SD15, /guidance embedding .* in only one of/],
    ['LDM', { 'model.diffusion_model.out.0.bias': [1] }, SD15, /original \(LDM\) layout/],
    ['LoRA', { 'lora_unet_x.lora_up.weight': [1] }, SD15, /This looks like a LoRA/],
    [
      'missing',
      { 'conv_in.weight': [320, 4, 3, 3], 'a.attn2.to_k.weight': [320, 768] },
      SD15,
      /norm.bias: missing\. Some weights are not in the file/,
    ],
    ['another component', { 'encoder.bias': [1] }, SD15, /do not belong together/],
  ])('%s', (_, found, expected, message) => {
    expect(problem(found, expected)).toMatch(message)
  })

  test('a long list is cut, and shows some of each kind', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`layer.${i}`, [1]]))
    const message = problem({ ...many, 'conv_in.weight': [320, 4, 3, 3], 'norm.bias': [2] })
    expect(message).toContain('norm.bias: expected [320]')
    expect(message).toContain('a.attn2.to_k.weight: missing')
    expect(message).toContain('layer.0: in the file')
    expect(message).toMatch(/and 98 more\./)
    expect(message.length).toBeLessThan(600)
  })
})
