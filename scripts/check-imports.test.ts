import { describe, expect, test } from 'vitest'
import { checkPackage, cycles, importsOf, layerOf, readSources, unusedOwners } from './check-imports.ts'
import { PACKAGE_RULES, type PackageRules } from './import-rules.ts'

const RULES: PackageRules = {
  root: 'packages/server/src',
  layers: { base: [], endpoints: ['base'], drawing: ['endpoints', 'base'], gateway: ['endpoints'], 'main.ts': '*' },
  filesOfLayers: { 'handler.ts': 'drawing' },
}

/** Every way that RULES allow is used. */
const SOUND = {
  'base/a.ts': '',
  'endpoints/x/schema.ts': "import { a } from '../../base/a.ts'",
  'endpoints/x/handler.ts': "import { a } from '../../base/a.ts'\nimport { schema } from './schema.ts'",
  'gateway/app.ts': "import type { schema } from '../endpoints/x/schema.ts'",
  'main.ts': "const load = () => import('./endpoints/x/handler.ts')",
}

function check(files: Readonly<Record<string, string>>): string[] {
  return checkPackage(
    RULES,
    new Map(Object.entries({ ...SOUND, ...files }).map(([path, text]) => [`${RULES.root}/${path}`, text])),
  )
}

describe('checkPackage', () => {
  test('lets pass what the rules allow', () => expect(check({})).toEqual([]))

  test.each([
    ['a value', "import { a } from '../endpoints/x/handler.ts'"],
    ['a type', "import type { a } from '../endpoints/x/handler.ts'"],
    ['an export', "export * from '../endpoints/x/handler.ts'"],
    ['a later load', "await import('../endpoints/x/handler.ts')"],
    ['several lines', "import {\n  a,\n  b,\n} from '../endpoints/x/handler.ts'"],
  ])('refuses an import of a layer that is not allowed: %s', (_, source) => {
    expect(check({ 'gateway/b.ts': source })).toEqual([
      'packages/server/src/gateway/b.ts: gateway may not import drawing (packages/server/src/endpoints/x/handler.ts)',
    ])
  })

  test('names a way that nobody goes', () => {
    expect(check({ 'gateway/app.ts': '' })).toEqual([
      'scripts/import-rules.ts: packages/server/src allows gateway → endpoints, which no file needs',
    ])
  })

  test('counts a cycle of types', () => {
    const [problem] = check({
      'base/a.ts': "import type { b } from './b.ts'",
      'base/b.ts': "import type { a } from './a.ts'",
    })
    expect(problem).toContain('import cycle: packages/server/src/base/')
  })

  test.each([
    ['unknown/a.ts', '', 'the layer "unknown" is not in scripts/import-rules.ts'],
    ['base/b.ts', "import '../../../engine/src/index.ts'", 'outside of its package'],
    ['base/b.ts', "import sharp from 'sharp'", 'only packages/engine/src/image may import sharp'],
    ['base/b.ts', 'process.env.HOME', 'reads process.env'],
  ])('refuses %s: %s', (file, source, problem) => {
    expect(check({ [file]: source })).toEqual([expect.stringContaining(problem)])
  })

  test('takes a handler for what its layer may import', () => {
    expect(check({ 'endpoints/y/handler.ts': "import { decodeImage } from '@darkroom/engine'" })).toEqual([])
    expect(check({ 'endpoints/y/schema.ts': "import { decodeImage } from '@darkroom/engine'" })).toHaveLength(1)
  })
})

test('importsOf finds imports of every form and nothing in text', () => {
  const source =
    "import a from 'a'\nimport type { b } from 'b'\nexport { c } from 'c'\nimport 'd'\n// from 'no'\nawait import('e')"
  expect(importsOf(source)).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('layerOf knows files by folder and by name', () => {
  expect(layerOf('gateway/routes/run.ts', RULES)).toBe('gateway')
  expect(layerOf('endpoints/fal-ai/lora/handler.ts', RULES)).toBe('drawing')
  expect(layerOf('cli.ts', RULES)).toBe('cli.ts')
})

test('cycles names each once', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', ['a']],
  ])
  expect(cycles(graph)).toEqual(['import cycle: a → b → c → a'])
})

test('unusedOwners names who may import a module and does not', () => {
  const sources = new Map([['packages/a/src/db/open.ts', "import pg from 'pg'"]])
  const owners = { pg: ['packages/a/src/db', 'packages/a/src/queue'] }
  expect(unusedOwners(owners, sources)).toEqual([
    'scripts/import-rules.ts: packages/a/src/queue may import pg, which it does not',
  ])
})

test('the rules speak of sources that exist', () => {
  for (const { root } of PACKAGE_RULES) expect(readSources(root).size).toBeGreaterThan(3)
})
