import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonLimitError, JsonSyntaxError, parseJson, toPlainValue } from './json-parse.ts'
import { dumpsJson, stringifyJson } from './json-text.ts'

/** The same cases in every run. */
const FIXED = { seed: 1 }

describe('parseJson', () => {
  test('agrees with JSON.parse on every JSON text, as plain values', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 3 }), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        expect(JSON.parse(stringifyJson(toPlainValue(parseJson(text))))).toEqual(JSON.parse(text))
      }),
      FIXED,
    )
  })

  test('refuses what JSON.parse refuses, but for the three words of Python', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ \n0123eE+-.tfnu'), maxLength: 12 }), (text) => {
        let expected = true
        try {
          JSON.parse(text)
        } catch {
          expected = false
        }
        const read = () => parseJson(text)
        if (expected) expect(read).not.toThrow()
        else expect(read).toThrow(JsonSyntaxError)
      }),
      FIXED,
    )
    expect(parseJson('[NaN, Infinity, -Infinity]')).toEqual([
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ])
  })

  test('keeps integers and floats apart and every digit of an integer', () => {
    expect(parseJson('[2, 2.0, 1e3, 18446744073709551615, -0]')).toEqual([2n, 2, 1000, 18446744073709551615n, 0n])
    expect(toPlainValue(parseJson('[2, 9007199254740991, 9007199254740993]'))).toEqual([
      2,
      9007199254740991,
      9007199254740993n,
    ])
  })

  test('the last of duplicate keys wins, __proto__ is a key, lone surrogates stay', () => {
    expect(parseJson('{"a": 1, "a": "\\ud800"}')).toEqual({ a: '\ud800' })
    const object = parseJson('{"__proto__": {"admin": true}}')
    expect(Object.keys(object as object)).toEqual(['__proto__'])
    expect((object as { admin?: unknown }).admin).toBeUndefined()
    expect(({} as { admin?: unknown }).admin).toBeUndefined()
  })

  test('says where, counting code points, lines and columns', () => {
    const text = '{\n  "a": "\u{1f600}",\n  "b": x}'
    expect(() => parseJson(text)).toThrow('Expecting value: line 3 column 8 (char 21)')
  })

  test.each([
    ['"\\u1234', 'Invalid \\uXXXX escape: line 1 column 3 (char 2)'],
    ['"\\u12', 'Invalid \\uXXXX escape: line 1 column 3 (char 2)'],
    ['"\\u1234x', 'Unterminated string starting at: line 1 column 1 (char 0)'],
    ['"\\', 'Unterminated string starting at: line 1 column 1 (char 0)'],
    ['"a\\\\\\"', 'Unterminated string starting at: line 1 column 1 (char 0)'],
    ['"a\\x"', 'Invalid \\escape: line 1 column 3 (char 2)'],
    ['["a\n"]', 'Invalid control character at: line 1 column 4 (char 3)'],
    ['{"a":1}}', 'Extra data: line 1 column 8 (char 7)'],
  ])('%j: %s', (text, message) => {
    expect(() => parseJson(text)).toThrow(message)
  })

  test('depth, values and digits are limited', () => {
    expect(parseJson('[[1]]', { depth: 2, values: 3 })).toEqual([[1n]])
    expect(() => parseJson('[[[1]]]', { depth: 2, values: 9 })).toThrow(JsonLimitError)
    expect(() => parseJson('[1,2,3]', { depth: 2, values: 3 })).toThrow(JsonLimitError)
    expect(parseJson(`-${'9'.repeat(4300)}`)).toBe(-BigInt('9'.repeat(4300)))
    expect(() => parseJson('9'.repeat(4301))).toThrow(JsonLimitError)
    expect(() => parseJson('['.repeat(1_000_000))).toThrow(JsonLimitError)
  })
})

describe('JSON text', () => {
  test('both spellings round-trip', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(stringifyJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
        expect(JSON.parse(dumpsJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      FIXED,
    )
  })

  test('dumpsJson is json.dumps: spaces, and ASCII only', () => {
    expect(dumpsJson({ a: [1, 'é\u{1f600}\u007f'], b: {} })).toBe('{"a": [1, "\\u00e9\\ud83d\\ude00\\u007f"], "b": {}}')
  })

  test('what JSON lacks', () => {
    expect(stringifyJson({ seed: 2n ** 64n - 1n, gone: undefined, list: [undefined, Number.NaN, -Infinity] })).toBe(
      '{"seed":18446744073709551615,"list":[null,"nan","-inf"]}',
    )
    expect(stringifyJson({ bytes: new Uint8Array(3), surrogate: '\ud800', at: new Date(0) })).toBe(
      '{"bytes":"<binary 3 bytes>","surrogate":"\\ud800","at":"1970-01-01T00:00:00.000Z"}',
    )
  })
})
