import { expect, it } from 'vitest'
import { omitNulls } from './omit-nulls.ts'

it('omits members without a value at any depth, and keeps list items, bytes, bigints and instances', () => {
  const content = Uint8Array.of(0, 1)
  const created = new Date(0)
  const output = {
    images: [{ url: 'u', file_name: null, content }, null],
    seed: 18446744073709551615n,
    debug_latents: null,
    flags: [false, null, 0, ''],
    timings: { inference: null },
    created,
    absent: undefined,
  }
  const wanted = {
    images: [{ url: 'u', content }, null],
    seed: 18446744073709551615n,
    flags: [false, null, 0, ''],
    timings: {},
    created,
    absent: undefined,
  }
  const result = omitNulls(output) as typeof wanted
  expect(result).toStrictEqual(wanted)
  expect(result.images[0]?.content).toBe(content)
  expect(output.debug_latents).toBeNull()
  expect([omitNulls(null), omitNulls('x'), omitNulls(Object.assign(Object.create(null), { a: null }))]).toEqual([
    null,
    'x',
    {},
  ])
})
