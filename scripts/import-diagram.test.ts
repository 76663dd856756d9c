import { expect, test } from 'vitest'
import { reducedWays, withDiagrams } from './import-diagram.ts'

test('reducedWays leaves out what follows from the rest', () => {
  const ways = new Map([
    ['a', new Set(['b', 'c'])],
    ['b', new Set(['c'])],
    ['d', new Set(['a', 'c'])],
  ])
  expect(reducedWays(ways)).toEqual([
    ['a', 'b'],
    ['b', 'c'],
    ['d', 'a'],
  ])
})

test('withDiagrams replaces what is between the marks, and wants the marks', () => {
  const marks = ['<!-- imports of x: made by scripts/import-diagram.ts -->', '<!-- end of x -->']
  const page = `before\n${marks[0]}\nold\n${marks[1]}\nafter`
  expect(withDiagrams(page, new Map([['x', 'new']]))).toBe(`before\n${marks[0]}\nnew\n${marks[1]}\nafter`)
  expect(() => withDiagrams('before', new Map([['x', 'new']]))).toThrow('lacks the marks')
})
