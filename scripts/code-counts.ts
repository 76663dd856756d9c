/**
 * Counts of a checkout's TypeScript, to hold two states of it beside each other: `tsx scripts/code-counts.ts [folder …]`.
 * Duplicates are counted by jscpd, which npx fetches.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { importedNames, unusedExports } from './check-exports.ts'
import { importsOf } from './check-imports.ts'

const ROOTS = ['packages', 'playground/src', 'scripts', 'bench', 'examples']
const SOURCE = /^(packages\/\w+\/src|playground\/src)\//
const ENTRY = /^packages\/(engine|client)\/src\/(index|platform-websocket)/
const SLIVER_LINES = 60

/** `x as T`, but neither `as const` nor the names of an import. */
export function countCasts(source: string): number {
  const code = source
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    .replace(/(['"`])(?:\\.|(?!\1)[^\\])*\1/g, "''")
    .replace(/(?:import|export)\s+(?:type\s+)?(?:\w+,\s*)?\{[^}]*\}|\*\s+as\s+\w+/g, '')
  return [...code.matchAll(/\sas\s+(?!const\b)[\w{[(]/g)].length
}

/** Short sources that one other source imports, of their own folder: most belong into it. */
export function slivers(files: ReadonlyMap<string, string>): string[] {
  const importers = new Map<string, Set<string>>()
  for (const [path, source] of files) {
    const specifiers = [...importsOf(source), ...importedNames(source).map(({ specifier }) => specifier)]
    for (const specifier of specifiers.filter((name) => name.startsWith('.'))) {
      const target = normalize(join(dirname(path), specifier))
        .split(sep)
        .join('/')
      importers.set(target, (importers.get(target) ?? new Set()).add(path))
    }
  }
  return [...files].flatMap(([path, source]) => {
    const [only, ...others] = importers.get(path) ?? []
    const isShort = source.split('\n').length - 1 <= SLIVER_LINES
    return isShort && only !== undefined && others.length === 0 && dirname(only) === dirname(path) ? [path] : []
  })
}

function rootsOf(folder: string): string[] {
  return ROOTS.filter((root) => existsSync(join(folder, root)))
}

/** Path below `folder` → text. */
function readTree(folder: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const root of rootsOf(folder)) {
    for (const entry of readdirSync(join(folder, root), { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name)
      const path = relative(folder, file).split(sep).join('/')
      if (entry.isFile() && /\.tsx?$/.test(entry.name) && !path.includes('node_modules/'))
        files.set(path, readFileSync(file, 'utf8'))
    }
  }
  return files
}

interface Duplicates {
  readonly clones: number
  readonly duplicatedLines: number
}

function countDuplicates(folder: string): Duplicates {
  const output = mkdtempSync(join(tmpdir(), 'duplicates-'))
  try {
    const size = ['--min-lines', '8', '--min-tokens', '60', '--format', 'typescript,tsx']
    const report = ['--reporters', 'json', '--output', output, '--silent', '--ignore', '**/node_modules/**']
    const options = { cwd: folder, stdio: 'ignore', shell: process.platform === 'win32' } as const
    execFileSync('npx', ['--yes', 'jscpd@4.3.0', ...size, ...report, ...rootsOf(folder)], options)
    return JSON.parse(readFileSync(join(output, 'jscpd-report.json'), 'utf8')).statistics.total
  } finally {
    rmSync(output, { recursive: true, force: true })
  }
}

function countsOf(folder: string): Record<string, number> {
  const files = readTree(folder)
  const sources = new Map([...files].filter(([path]) => SOURCE.test(path) && !/\.test\.tsx?$/.test(path)))
  const lines = (some: ReadonlyMap<string, string>) =>
    [...some.values()].reduce((sum, text) => sum + text.split('\n').length - 1, 0)
  const { clones, duplicatedLines } = countDuplicates(folder)
  return {
    'source files': sources.size,
    'source lines': lines(sources),
    'all files': files.size,
    'all lines': lines(files),
    'longest source file': Math.max(...[...sources.values()].map((text) => text.split('\n').length - 1)),
    'unused exports': unusedExports(files, (path) => sources.has(path) && !ENTRY.test(path)).length,
    'casts in sources': [...sources.values()].reduce((sum, text) => sum + countCasts(text), 0),
    'short files with one importer beside them': slivers(sources).length,
    'duplicate blocks of 8 lines': clones,
    'lines in them': duplicatedLines,
  }
}

if (process.argv[1]?.endsWith('code-counts.ts')) {
  const folders = process.argv.slice(2)
  const columns = (folders.length > 0 ? folders : ['.']).map(countsOf)
  for (const name of Object.keys(columns[0] ?? {}))
    console.log([name.padEnd(44), ...columns.map((counts) => String(counts[name]).padStart(8))].join(''))
}
