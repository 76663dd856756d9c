import { expect, it } from 'vitest'
import { LongValueReference, LongValues, piecesOfLong, withoutLongValues } from './long-values.ts'

const LONG = 'x'.repeat(600_000)

it('takes what is long out of an input, and leaves one alone that holds none', () => {
  const short = { prompt: 'a', list: [1n, Uint8Array.of(1)] }
  expect(withoutLongValues(short)).toEqual({ input: short, long: [] })
  expect(withoutLongValues(short).input).toBe(short)
  const bytes = new Uint8Array(300_000)
  expect(withoutLongValues({ a: LONG, b: [{ c: bytes }], d: 1 })).toEqual({
    input: { a: new LongValueReference(0), b: [{ c: new LongValueReference(1) }], d: 1 },
    long: [LONG, bytes],
  })
})

it('cuts no character, and puts the pieces together again', () => {
  const text = `a${'😀'.repeat(200_000)}`
  const pieces = [...piecesOfLong(text)] as string[]
  expect(pieces.length).toBe(2)
  expect(pieces.every((piece) => piece.isWellFormed())).toBe(true)
  const values = new LongValues()
  for (const piece of pieces) values.add(0, piece)
  expect(values.at(new LongValueReference(0))).toBe(text)
  expect(() => values.at(new LongValueReference(1))).toThrow('found none')
})
