/**
 * Checks that imports point the way the design says (`import-rules.ts`), that everything it allows is used, and that there
 * is no import cycle, of types neither.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { ENVIRONMENT_READERS, EXCLUSIVE_MODULES, PACKAGE_RULES, type PackageRules } from './import-rules.ts'

const IMPORT = /(?:^|\n)\s*(?:import|export)\s+(?:type\s+)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/g
const DYNAMIC_IMPORT = /import\(\s*['"]([^'"]+)['"]\s*\)/g

/** Specifiers that a module imports or exports from, types included, in the order of their kind. */
export function importsOf(source: string): string[] {
  return [IMPORT, DYNAMIC_IMPORT].flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1] as string))
}

/** The layer of a file inside a package's src: its topmost folder, but for files that their name gives to another. */
export function layerOf(path: string, { filesOfLayers = {} }: Pick<PackageRules, 'filesOfLayers'>): string {
  const parts = path.split('/')
  return filesOfLayers[parts.at(-1) ?? ''] ?? (parts[0] as string)
}

/** Reads a package's sources: path from the repository's root → text. Tests are left out: they may import everything. */
export function readSources(root: string): Map<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.test.ts'))
    .map((entry) => slashed(join(entry.parentPath, entry.name)))
  return new Map(files.map((file) => [file, readFileSync(file, 'utf8')]))
}

/** One import between two files of a package, with the layers that they are of. */
export interface ImportEdge {
  readonly from: string
  readonly to: string
  readonly fromLayer: string
  readonly toLayer: string
}

export function edgesOf(rules: PackageRules, sources: ReadonlyMap<string, string>): ImportEdge[] {
  const layer = (file: string) => layerOf(slashed(relative(rules.root, file)), rules)
  return [...sources].flatMap(([from, source]) =>
    importsOf(source)
      .filter((specifier) => specifier.startsWith('.'))
      .map((specifier) => slashed(normalize(join(dirname(from), specifier))))
      .map((to) => ({ from, to, fromLayer: layer(from), toLayer: layer(to) })),
  )
}

/** What is wrong with a package's imports, a line each. */
export function checkPackage(rules: PackageRules, sources: ReadonlyMap<string, string>): string[] {
  const edges = edgesOf(rules, sources)
  const graph = new Map<string, string[]>()
  for (const { from, to } of edges) graph.set(from, [...(graph.get(from) ?? []), to])
  return [
    ...[...sources].flatMap(([file, source]) => checkFile(rules, file, source)),
    ...edges.flatMap((edge) => checkEdge(rules, edge)),
    ...unusedWays(rules, edges),
    ...cycles(graph),
  ]
}

function checkFile(rules: PackageRules, file: string, source: string): string[] {
  const layer = layerOf(slashed(relative(rules.root, file)), rules)
  const problems: string[] = []
  if (rules.layers !== '*' && rules.layers[layer] === undefined) {
    problems.push(`${file}: the layer "${layer}" is not in scripts/import-rules.ts`)
  }
  if (source.includes('process.env') && !ENVIRONMENT_READERS.some((reader) => file.startsWith(reader))) {
    problems.push(`${file}: reads process.env; only ${ENVIRONMENT_READERS.join(', ')} may`)
  }
  for (const specifier of importsOf(source)) {
    const owners = EXCLUSIVE_MODULES[specifier]
    if (owners !== undefined && !owners.some((owner) => belongsTo(file, rules, owner))) {
      problems.push(`${file}: only ${owners.join(', ')} may import ${specifier}`)
    }
  }
  return problems
}

function checkEdge({ root, layers }: PackageRules, { from, to, fromLayer, toLayer }: ImportEdge): string[] {
  if (!to.startsWith(`${root}/`)) return [`${from}: imports ${to}, outside of its package`]
  const allowed = layers === '*' ? '*' : layers[fromLayer]
  if (allowed === undefined || allowed === '*' || fromLayer === toLayer || allowed.includes(toLayer)) return []
  return [`${from}: ${fromLayer} may not import ${toLayer} (${to})`]
}

/** Ways that the rules allow and nobody goes: the rules would say less than the code does. */
function unusedWays({ root, layers }: PackageRules, edges: readonly ImportEdge[]): string[] {
  if (layers === '*') return []
  const used = new Set(edges.map(({ fromLayer, toLayer }) => `${fromLayer} → ${toLayer}`))
  return Object.entries(layers).flatMap(([layer, allowed]) =>
    (allowed === '*' ? [] : allowed)
      .filter((target) => !used.has(`${layer} → ${target}`))
      .map((target) => `scripts/import-rules.ts: ${root} allows ${layer} → ${target}, which no file needs`),
  )
}

/** Whether a file is one that is named, lies in a folder that is named, or belongs to that folder's layer. */
function belongsTo(file: string, rules: PackageRules, owner: string): boolean {
  const layer = `${rules.root}/${layerOf(slashed(relative(rules.root, file)), rules)}`
  return file === owner || file.startsWith(`${owner}/`) || layer === owner
}

/** Owners of exclusive modules that import them nowhere. */
export function unusedOwners(
  modules: Readonly<Record<string, readonly string[]>>,
  sources: ReadonlyMap<string, string>,
): string[] {
  const rulesOf = (file: string) =>
    PACKAGE_RULES.find(({ root }) => file.startsWith(`${root}/`)) ?? { root: '', layers: '*' as const }
  return Object.entries(modules).flatMap(([module, owners]) =>
    owners
      .filter(
        (owner) =>
          ![...sources].some(
            ([file, source]) => belongsTo(file, rulesOf(file), owner) && importsOf(source).includes(module),
          ),
      )
      .map((owner) => `scripts/import-rules.ts: ${owner} may import ${module}, which it does not`),
  )
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

function slashed(path: string): string {
  return path.split(sep).join('/')
}

if (process.argv[1]?.endsWith('check-imports.ts')) {
  const packages = PACKAGE_RULES.map((rules) => ({ rules, sources: readSources(rules.root) }))
  const problems = [
    ...packages.flatMap(({ rules, sources }) => checkPackage(rules, sources)),
    ...unusedOwners(EXCLUSIVE_MODULES, new Map(packages.flatMap(({ sources }) => [...sources]))),
  ]
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exit(1)
  console.log('imports point the way the design says')
}
