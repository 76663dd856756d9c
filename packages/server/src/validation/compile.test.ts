import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { WireError } from '../errors/errors.ts'
import { compile } from './compile.ts'
import { parseInput } from './json-input.ts'
import { validateInput } from './validate-input.ts'

// What the recorded verdicts of pydantic 1.10 do not reach: kinds of field that no endpoint of today has, values that
// did not come by JSON, and the two rules of our own.

function detailOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    if (error instanceof WireError) return error.detail
    throw error
  }
  throw new Error('expected a WireError, found none')
}

const withPicture = z.object({
  image_url: z.string().optional().meta({ requiredUnless: 'image_bytes' }),
  image_bytes: z.instanceof(Uint8Array).nullish(),
})

describe('a picture by URL or as bytes', () => {
  test('either is enough, and bytes stay the bytes they are', () => {
    const bytes = new Uint8Array([1, 2])
    expect(validateInput(withPicture, { image_bytes: bytes })).toEqual({ image_bytes: bytes })
    expect(validateInput(withPicture, { image_bytes: bytes, image_url: null })).toEqual({ image_bytes: bytes })
    expect(validateInput(withPicture, { image_url: 'a', image_bytes: null })).toEqual({ image_url: 'a' })
  })

  test('neither is a missing URL', () => {
    const missing = [{ loc: ['body', 'image_url'], msg: 'field required', type: 'value_error.missing' }]
    expect(detailOf(() => validateInput(withPicture, {}))).toEqual(missing)
    expect(detailOf(() => validateInput(withPicture, { image_url: null, image_bytes: null }))).toMatchObject([
      { type: 'type_error.none.not_allowed' },
    ])
  })

  test('what is no bytes', () => {
    expect(detailOf(() => validateInput(withPicture, { image_bytes: [1] }))).toMatchObject([
      { loc: ['body', 'image_bytes'], type: 'type_error.bytes' },
    ])
  })
})

describe('values that came by MessagePack', () => {
  const schema = z.object({ text: z.string(), count: z.int().min(0).nullish(), seed: z.bigint().nullish() })

  test('a whole number is an int, whatever its size', () => {
    expect(validateInput(schema, { text: 2, count: 3.7, seed: 2 ** 60 })).toEqual({
      text: '2',
      count: 3,
      seed: 2n ** 60n,
    })
    expect(validateInput(schema, parseInput('{"text": 2.0, "seed": 18446744073709551615}'))).toEqual({
      text: '2.0',
      seed: 18446744073709551615n,
    })
  })

  test('undefined is absent, bytes are a text when they are UTF-8', () => {
    expect(validateInput(schema, { text: Buffer.from('é'), count: undefined })).toEqual({ text: 'é' })
    expect(detailOf(() => validateInput(schema, { text: new Uint8Array([0xff]) }))).toMatchObject([
      { type: 'type_error.str' },
    ])
  })
})

describe('lists and dicts', () => {
  const lora = z.object({ path: z.string(), scale: z.number().default(1) })
  const schema = z.object({
    loras: z.array(lora).max(2).default([]),
    sizes: z.array(z.int()).min(1).nullish(),
    scales: z.record(z.string(), z.number()).nullish(),
  })

  test('say which element is wrong', () => {
    const input = { loras: [{ path: 'a' }, { path: ['x'] }], sizes: ['1', 'x', null], scales: { a: '1', b: 'x' } }
    expect(detailOf(() => validateInput(schema, input))).toEqual([
      { loc: ['body', 'loras', 1, 'path'], msg: 'str type expected', type: 'type_error.str' },
      { loc: ['body', 'sizes', 1], msg: 'value is not a valid integer', type: 'type_error.integer' },
      { loc: ['body', 'sizes', 2], msg: 'none is not an allowed value', type: 'type_error.none.not_allowed' },
      { loc: ['body', 'scales', 'b'], msg: 'value is not a valid float', type: 'type_error.float' },
    ])
  })

  test('have lengths, and defaults that are not shared', () => {
    const lengths = detailOf(() =>
      validateInput(schema, { loras: [{ path: 'a' }, { path: 'b' }, { path: 'c' }], sizes: [] }),
    )
    expect(lengths).toEqual([
      {
        loc: ['body', 'loras'],
        msg: 'ensure this value has at most 2 items',
        type: 'value_error.list.max_items',
        ctx: { limit_value: 2 },
      },
      {
        loc: ['body', 'sizes'],
        msg: 'ensure this value has at least 1 items',
        type: 'value_error.list.min_items',
        ctx: { limit_value: 1 },
      },
    ])
    const first = validateInput(schema, {})
    first.loras.push({ path: 'a', scale: 1 })
    expect(validateInput(schema, {}).loras).toEqual([])
    expect(detailOf(() => validateInput(schema, { loras: {} }))).toMatchObject([{ type: 'type_error.list' }])
    expect(detailOf(() => validateInput(schema, { scales: 1 }))).toMatchObject([{ type: 'type_error.dict' }])
  })
})

describe('constraints', () => {
  test('lengths of texts count code points; steps', () => {
    const schema = z.object({ text: z.string().min(2).max(3), size: z.int().multipleOf(8) })
    expect(validateInput(schema, { text: '\u{1f600}\u{1f600}\u{1f600}', size: 16 })).toBeDefined()
    expect(detailOf(() => validateInput(schema, { text: '\u{1f600}', size: 12 }))).toEqual([
      {
        loc: ['body', 'text'],
        msg: 'ensure this value has at least 2 characters',
        type: 'value_error.any_str.min_length',
        ctx: { limit_value: 2 },
      },
      {
        loc: ['body', 'size'],
        msg: 'ensure this value is a multiple of 8',
        type: 'value_error.number.not_multiple',
        ctx: { multiple_of: 8 },
      },
    ])
  })

  test('an explicit null is told from an absent field where there is a default', () => {
    const schema = z.object({ control: z.enum(['pose', 'canny']).nullable().default('canny') })
    expect(validateInput(schema, {})).toEqual({ control: 'canny' })
    expect(validateInput(schema, { control: null })).toEqual({ control: null })
  })
})

describe('limits of the answer', () => {
  test('a huge value is not repeated, and errors beyond a thousand are counted but not listed', () => {
    const schema = z.object({ kind: z.enum(['a']), list: z.array(z.int()) })
    const input = { kind: Array.from({ length: 50_000 }, () => 'x'), list: Array.from({ length: 20_000 }, () => 'x') }
    const detail = detailOf(() => validateInput(schema, input)) as unknown[]
    expect(detail).toHaveLength(1_000)
    expect(detail[0]).toMatchObject({ ctx: { given: '<value too large to repeat>' } })
  })

  test('of a list that is too long its items are not looked at, as pydantic does it', () => {
    const item = z.object({ a: z.int() })
    const schema = z.object({ most: z.array(item).max(2).optional(), least: z.array(item).min(2).optional() })
    const items = [{ a: 'x' }, { a: 'x' }, { a: 'x' }]
    expect(detailOf(() => validateInput(schema, { most: items, least: items.slice(0, 1) }))).toEqual([
      {
        loc: ['body', 'most'],
        msg: 'ensure this value has at most 2 items',
        type: 'value_error.list.max_items',
        ctx: { limit_value: 2 },
      },
      {
        loc: ['body', 'least'],
        msg: 'ensure this value has at least 2 items',
        type: 'value_error.list.min_items',
        ctx: { limit_value: 2 },
      },
    ])
  })

  test('a schema without a pydantic equivalent is an error when it is compiled', () => {
    expect(() => compile(z.object({ at: z.date() }))).toThrow('zod schema of type date')
  })
})
