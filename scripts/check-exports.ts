/**
 * Checks that every value a module exports is imported by another, and every type is spoken of: what only its own file uses is not
 * exported, what nobody uses is deleted.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'

const EXPORT = /(?:^|\n)export (?:async |abstract )*(?:const|let|function\*?|class) (\w+)/g
const EXPORTED_TYPE = /(?:^|\n)export (?:interface|type) (\w+)/g
const NAMED = /(?:^|\n)\s*(?:import|export)\s+(?:type\s+)?(?:\w+,\s*)?\{([^}]*)\}\s*from\s*['"](\.[^'"]+)['"]/g
/** Takes everything: a namespace, a re-export of all, a module loaded later. */
const WHOLE = /(?:\*(?:\s+as\s+\w+)?\s+from\s*|import\(\s*)['"](\.[^'"]+)['"]/g

const CHECKED = /^(packages\/\w+\/src|playground\/src)\//
/** What packages show to whoever installs them. */
const ENTRIES = [
  'packages/engine/src/index.ts',
  'packages/client/src/index.ts',
  // One of the two, as the package's `imports` say.
  'packages/client/src/platform-websocket',
]

/** Names of values that a module exports by a declaration. */
export function exportedValues(source: string): string[] {
  return [...source.matchAll(EXPORT)].map((match) => match[1] as string)
}

/** What a module takes of others: names by the other's specifier, `*` for everything. */
export function importedNames(source: string): { readonly specifier: string; readonly name: string }[] {
  const named = [...source.matchAll(NAMED)].flatMap(([, names = '', specifier = '']) =>
    names
      .split(',')
      .map(
        (part) =>
          part
            .trim()
            .replace(/^type\s+/, '')
            .split(/\s+as\s+/)[0] ?? '',
      )
      .filter((name) => name !== '')
      .map((name) => ({ specifier, name })),
  )
  const whole = [...source.matchAll(WHOLE)].map(([, specifier = '']) => ({ specifier, name: '*' }))
  return [...named, ...whole]
}

/**
 * Exports that no other file imports, as `path: name`.
 * @param files path → text of every file that may import
 * @param isChecked whether a file's exports must be used
 */
export function unusedExports(files: ReadonlyMap<string, string>, isChecked: (path: string) => boolean): string[] {
  const used = new Set<string>()
  for (const [path, source] of files) {
    for (const { specifier, name } of importedNames(source)) {
      used.add(
        `${normalize(join(dirname(path), specifier))
          .split(sep)
          .join('/')}: ${name}`,
      )
    }
  }
  return [...files].flatMap(([path, source]) =>
    isChecked(path) && !used.has(`${path}: *`)
      ? exportedValues(source)
          .map((name) => `${path}: ${name}`)
          .filter((name) => !used.has(name))
      : [],
  )
}

/** Exported types that nothing speaks of: no importer, and no other line of their own file. What a signature names stays exported. */
export function unusedTypes(files: ReadonlyMap<string, string>, isChecked: (path: string) => boolean): string[] {
  const imported = new Set([...files.values()].flatMap((source) => importedNames(source).map(({ name }) => name)))
  return [...files].flatMap(([path, source]) =>
    isChecked(path)
      ? [...source.matchAll(EXPORTED_TYPE)]
          .map((match) => match[1] as string)
          .filter((name) => !imported.has(name) && [...source.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length === 1)
          .map((name) => `${path}: ${name}`)
      : [],
  )
}

function readFiles(roots: readonly string[]): Map<string, string> {
  const files = new Map<string, string>()
  for (const root of roots) {
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name).split(sep).join('/')
      if (entry.isFile() && /\.(m?ts|tsx|m?js)$/.test(entry.name) && !path.includes('node_modules/')) {
        files.set(path, readFileSync(path, 'utf8'))
      }
    }
  }
  return files
}

if (process.argv[1]?.endsWith('check-exports.ts')) {
  const isSource = (path: string) =>
    CHECKED.test(path) && !path.endsWith('.test.ts') && !ENTRIES.some((entry) => path.startsWith(entry))
  const files = readFiles(['packages', 'playground/src', 'scripts', 'bench', 'examples'])
  const problems = [...unusedExports(files, isSource), ...unusedTypes(files, isSource)]
  for (const problem of problems) console.error(`${problem} is exported and no other file imports it`)
  if (problems.length > 0) process.exit(1)
  console.log('every exported value is used')
}
