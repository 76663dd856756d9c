import { describe, expect, test } from 'vitest'
import { fastLcmDiffusion } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { WireError } from '../errors/errors.ts'
import { readJsonBody } from './json-input.ts'
import { validateInput } from './validate-input.ts'

/** Large enough that anything quadratic runs into the test's own time limit, and anything recursive out of stack. */
const LENGTH = 4_000_000

const repeat = (text: string) => text.repeat(LENGTH / text.length)
const field = (name: string, value: string) => `{"prompt":"a","${name}":"${value}"}`

const HOSTILE: readonly [name: string, body: string, status: number][] = [
  ['a data URI', field('comment', repeat('A')), 200],
  ['a prompt', field('negative_prompt', repeat('a ')), 422],
  ['escapes', field('comment', repeat('\\n')), 200],
  ['escaped quotes', field('comment', repeat('\\"')), 200],
  ['surrogates', field('comment', repeat('\\ud800\\ud83d\\ude00')), 200],
  ['spaces', repeat(' '), 422],
  ['line feeds', repeat('\n'), 422],
  ['digits', repeat('1'), 400],
  ['digits behind a point', `1.${repeat('1')}`, 422],
  ['spaces inside a number', field('guidance_scale', `x${repeat(' ')}x`), 422],
  ['digits that end in a letter', field('guidance_scale', `${repeat('1')}x`), 422],
  ['underscores', field('guidance_scale', repeat('1_')), 422],
  ['other scripts’ digits', field('seed', repeat('\u0663')), 422],
  ['a text where a size is wanted', field('image_size', repeat('ab')), 422],
  ['pairs where a size is wanted', `{"prompt":"a","image_size":[${repeat('["a",1],')}["a",1]]}`, 400],
  ['depth', repeat('['), 400],
  ['depth in objects', repeat('{"a":'), 400],
  ['many values', `[${repeat('[],')}1]`, 400],
  ['many keys', `{${repeat('"a":1,')}"a":1}`, 400],
  ['a string without an end', `"${repeat('\u{1f600}')}`, 422],
  ['a bad escape behind many good ones', `"${repeat('\\n')}\\x"`, 422],
]

function statusOf(body: string): number {
  try {
    validateInput(fastLcmDiffusion.input, readJsonBody(Buffer.from(body), 'application/json'))
    return 200
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    // What is answered stays small, however large the body was.
    expect(JSON.stringify(error.detail).length).toBeLessThan(100_000)
    return error.status
  }
}

describe('megabytes of', () => {
  test.each(HOSTILE)('%s', (_name, body, status) => {
    expect(statusOf(body)).toBe(status)
  })
})

describe('the text of a body', () => {
  test('is well-formed, lone surrogates escaped, and None where there was no body', () => {
    const { text } = readJsonBody(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), undefined)
    expect(text).toBe('"\\ud800"')
    expect(readJsonBody(new Uint8Array(0), 'text/plain').text).toBe('null')
  })
})
