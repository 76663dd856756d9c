import { expect, test } from 'vitest'
import { exportedValues, importedNames, unusedExports, unusedTypes } from './check-exports.ts'

test('reads what a module exports and takes', () => {
  expect(exportedValues('export const a = 1\nexport async function b() {}\nexport type C = 1\nconst d = 2')).toEqual([
    'a',
    'b',
  ])
  const source =
    "import d, { a as x, type B } from './m.ts'\nexport {\n  c,\n} from './n.ts'\nimport * as all from './o.ts'\nimport('./p.ts')"
  expect(importedNames(source)).toEqual([
    { specifier: './m.ts', name: 'a' },
    { specifier: './m.ts', name: 'B' },
    { specifier: './n.ts', name: 'c' },
    { specifier: './o.ts', name: '*' },
    { specifier: './p.ts', name: '*' },
  ])
})

test('names values that no other file imports', () => {
  const files = new Map([
    ['src/a.ts', 'export const used = 1\nexport const own = used\nexport function gone() {}'],
    ['src/b.ts', "import { used } from './a.ts'\nexport const later = 1"],
    ['test/c.ts', "await import('../src/b.ts')\nexport const test = 1"],
  ])
  expect(unusedExports(files, (path) => path.startsWith('src/'))).toEqual(['src/a.ts: own', 'src/a.ts: gone'])
})

test('names types that nothing speaks of', () => {
  const files = new Map([
    [
      'src/a.ts',
      'export interface Asked {}\nexport function a(asked: Asked) {}\nexport type Taken = 1\nexport type Gone = 2',
    ],
    ['src/b.ts', "import type { Taken } from './a.ts'"],
  ])
  expect(unusedTypes(files, (path) => path.startsWith('src/'))).toEqual(['src/a.ts: Gone'])
})
