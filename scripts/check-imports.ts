/** Checks that imports point the way the design says (`import-rules.ts`), and that no import cycle exists. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { ENVIRONMENT_READERS, EXCLUSIVE_MODULES, PACKAGE_RULES, type PackageRules } from './import-rules.ts'

const IMPORT = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/g
const DYNAMIC_IMPORT = /import\(\s*['"]([^'"]+)['"]\s*\)/g

interface ImportEdge {
  readonly specifier: string
  readonly typeOnly: boolean
}

export function importsOf(source: string): ImportEdge[] {
  const edges = [...source.matchAll(IMPORT)].map((m) => ({ specifier: m[2] as string, typeOnly: m[1] !== undefined }))
  for (const match of source.matchAll(DYNAMIC_IMPORT)) edges.push({ specifier: match[1] as string, typeOnly: false })
  return edges
}

/** The layer of a file inside a package's src: its topmost folder, but for files that their name gives to another. */
export function layerOf(path: string, { filesOfLayers = {} }: Pick<PackageRules, 'filesOfLayers'>): string {
  const parts = path.split('/')
  return filesOfLayers[parts.at(-1) ?? ''] ?? (parts[0] as string)
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name).split(sep).join('/'))
}

function checkPackage(rules: PackageRules): string[] {
  const problems: string[] = []
  const graph = new Map<string, string[]>()
  for (const file of sourceFiles(rules.root)) {
    const source = readFileSync(file, 'utf8')
    const layer = layerOf(relative(rules.root, file).split(sep).join('/'), rules)
    const allowed = rules.layers === '*' ? '*' : rules.layers[layer]
    if (!allowed) problems.push(`${file}: the layer "${layer}" is not in scripts/import-rules.ts`)
    if (source.includes('process.env') && !ENVIRONMENT_READERS.some((reader) => file.startsWith(reader))) {
      problems.push(`${file}: reads process.env; only ${ENVIRONMENT_READERS.join(', ')} may`)
    }
    for (const { specifier, typeOnly } of importsOf(source)) {
      if (!specifier.startsWith('.')) {
        problems.push(...checkModule(file, specifier))
        continue
      }
      const target = normalize(join(dirname(file), specifier))
        .split(sep)
        .join('/')
      if (!typeOnly) graph.set(file, [...(graph.get(file) ?? []), target])
      if (!target.startsWith(`${rules.root}/`)) {
        problems.push(`${file}: imports ${specifier}, outside of its package`)
        continue
      }
      const targetLayer = layerOf(relative(rules.root, target).split(sep).join('/'), rules)
      if (allowed && allowed !== '*' && targetLayer !== layer && !allowed.includes(targetLayer)) {
        problems.push(`${file}: ${layer} may not import ${targetLayer} (${specifier})`)
      }
    }
  }
  return [...problems, ...cycles(graph)]
}

function checkModule(file: string, specifier: string): string[] {
  const owners = EXCLUSIVE_MODULES[specifier]
  if (!owners || owners.some((owner) => file.startsWith(owner))) return []
  return [`${file}: only ${owners.join(', ')} may import ${specifier}`]
}

/** Import cycles, each named once by the files on it. */
export function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>()
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) {
      found.add(`import cycle: ${[...path.slice(start), file].join(' → ')}`)
      return
    }
    if (done.has(file)) return
    for (const target of graph.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return [...found]
}

if (process.argv[1]?.endsWith('check-imports.ts')) {
  const problems = PACKAGE_RULES.flatMap(checkPackage)
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exit(1)
  console.log('imports point the way the design says')
}
