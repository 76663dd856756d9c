import { expect, test } from 'vitest'
import { countCasts, slivers } from './code-counts.ts'

test.each([
  ['const a = b as number', 1],
  ['const a = [b as [number, number], c as { d: string }]', 2],
  ['const a = [1, 2] as const', 0],
  ["import { a as b } from 'c'\nimport * as d from 'e'\nexport { f as g } from 'h'", 0],
  ['// known as Bob\n/* as such */\nconst a = "as good as"', 0],
])('countCasts of %j is %i', (source, casts) => {
  expect(countCasts(source)).toBe(casts)
})

test('slivers are short, and one source of their folder imports them', () => {
  const short = 'export const a = 1\n'
  const files = new Map([
    ['src/x/used-beside.ts', short],
    ['src/x/long.ts', short.repeat(61)],
    ['src/x/used-twice.ts', short],
    [
      'src/x/user.ts',
      "import './used-beside.ts'\nimport './long.ts'\nimport './used-twice.ts'\nimport '../y/far.ts'\n",
    ],
    ['src/x/other.ts', "import type { a } from './used-twice.ts'\n"],
    ['src/y/far.ts', short],
  ])
  expect(slivers(files)).toEqual(['src/x/used-beside.ts'])
})
