import { describe, expect, it } from 'vitest'
import {
  boundsOf,
  branchesOf,
  branchOf,
  kindOf,
  type OpenApiDocument,
  propertiesOf,
  resolve,
  startValue,
} from './json-schema.ts'

const document: OpenApiDocument = {
  components: {
    schemas: {
      ImageSize: {
        type: 'object',
        title: 'ImageSize',
        properties: { width: { type: 'integer', default: 512 }, height: { type: 'integer', default: 512 } },
      },
      LoraWeight: {
        type: 'object',
        required: ['path'],
        properties: { path: { type: 'string' }, scale: { type: 'number', default: 1 }, note: { type: 'string' } },
        'x-fal-order-properties': ['scale', 'path'],
      },
    },
  },
  paths: {},
}

describe('resolve', () => {
  it('follows a reference, and what stands beside it wins', () => {
    const node = { $ref: '#/components/schemas/ImageSize', description: 'How large', title: 'Size' }
    expect(resolve(node, document)).toMatchObject({ type: 'object', description: 'How large', title: 'Size' })
  })

  it('takes pydantic 1’s allOf around a reference as the reference', () => {
    const node = { allOf: [{ $ref: '#/components/schemas/ImageSize' }], default: { width: 8, height: 8 } }
    expect(resolve(node, document)).toMatchObject({ type: 'object', default: { width: 8 } })
  })
})

it('takes an optional text as a text', () => {
  expect(resolve({ type: ['string', 'null'], title: 'Variant' }, document)).toEqual({
    type: 'string',
    title: 'Variant',
  })
})

describe('kindOf', () => {
  it.each([
    ['image', 'image_url', { type: 'string', ui: { field: 'image' } }],
    ['image', 'control_image_url', { type: 'string' }],
    ['mask', 'mask_url', { type: 'string', ui: { field: 'image' } }],
    ['mask', 'ip_adapter_mask_url', { type: 'string' }],
    ['text', 'model_url', { type: 'string' }],
    ['choice', 'format', { type: 'string', enum: ['jpeg', 'png'] }],
    ['integer', 'seed', { type: 'integer' }],
    ['list', 'loras', { type: 'array', items: { $ref: '#/components/schemas/LoraWeight' } }],
    ['object', 'tile', { type: 'object', properties: {} }],
    [
      'union',
      'image_size',
      { anyOf: [{ $ref: '#/components/schemas/ImageSize' }, { enum: ['square'], type: 'string' }] },
    ],
    ['json', 'timings', { type: 'object', additionalProperties: { type: 'number' } }],
  ] as const)('is %s for %s', (kind, name, schema) => {
    expect(kindOf(schema, name)).toBe(kind)
  })
})

describe('a union', () => {
  const branches = [resolve({ $ref: '#/components/schemas/ImageSize' }, document), { type: 'string', enum: ['square'] }]

  it('finds the branch of a value', () => {
    expect(branchOf({ width: 1 }, branches)).toBe(0)
    expect(branchOf('square', branches)).toBe(1)
  })

  it('does not count the null that makes a field optional', () => {
    expect(branchesOf({ anyOf: [{ type: 'integer' }, { type: 'null' }] })).toHaveLength(1)
  })
})

describe('propertiesOf', () => {
  it('keeps the published order and appends what it leaves out', () => {
    const schema = document.components.schemas.LoraWeight ?? {}
    const properties = propertiesOf(schema, document)
    expect(properties.map(({ name }) => name)).toEqual(['scale', 'path', 'note'])
    expect(properties.map(({ required }) => required)).toEqual([false, true, false])
  })
})

describe('startValue', () => {
  it('fills in an object what is required or has a default', () => {
    expect(startValue(document.components.schemas.LoraWeight ?? {}, document)).toEqual({ scale: 1, path: '' })
  })

  it('takes the least of a number without a default', () => {
    expect(startValue({ type: 'integer', minimum: 3 }, document)).toBe(3)
  })
})

describe('boundsOf', () => {
  it('makes an excluded bound of whole numbers the next one', () => {
    expect(boundsOf({ type: 'integer', exclusiveMinimum: 0, maximum: 14142 })).toEqual({ minimum: 1, maximum: 14142 })
  })

  it('has none where none is published', () => {
    expect(boundsOf({ type: 'number' })).toEqual({})
  })
})
