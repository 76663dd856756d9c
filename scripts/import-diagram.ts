/**
 * The pictures of layers in ARCHITECTURE.md, made from the imports: `tsx scripts/import-diagram.ts` writes them, `--check` fails
 * when the page shows others. Ways that follow from two others are left out, and so are processes and entries, which import
 * nearly everything.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { edgesOf, readSources } from './check-imports.ts'
import { PACKAGE_RULES, type PackageRules } from './import-rules.ts'

const PAGE = 'ARCHITECTURE.md'
/** The packages whose layers are many enough for a picture. */
const DRAWN: readonly string[] = ['packages/server/src', 'packages/engine/src']

/** Ways between layers, `from → to`, without those that a longer way implies. */
export function reducedWays(ways: ReadonlyMap<string, ReadonlySet<string>>): [string, string][] {
  const reaches = (from: string, to: string, seen: Set<string>): boolean => {
    if (from === to) return true
    if (seen.has(from)) return false
    seen.add(from)
    return [...(ways.get(from) ?? [])].some((next) => reaches(next, to, seen))
  }
  return [...ways].flatMap(([from, targets]) =>
    [...targets]
      .filter((to) => ![...targets].some((other) => other !== to && reaches(other, to, new Set([from]))))
      .map((to): [string, string] => [from, to]),
  )
}

/** A flow chart in Mermaid's language. */
export function diagramOf(rules: PackageRules): string {
  const ways = new Map<string, Set<string>>()
  for (const { fromLayer, toLayer } of edgesOf(rules, readSources(rules.root))) {
    const importsAll = rules.layers === '*' || rules.layers[fromLayer] === '*'
    if (fromLayer === toLayer || importsAll) continue
    ways.set(fromLayer, (ways.get(fromLayer) ?? new Set()).add(toLayer))
  }
  const lines = reducedWays(ways).map(([from, to]) => `  ${from} --> ${to}`)
  return ['```mermaid', 'flowchart TD', ...lines.sort(), '```'].join('\n')
}

/** The page with each diagram between its marks. @throws Error where a mark is missing */
export function withDiagrams(page: string, diagrams: ReadonlyMap<string, string>): string {
  let text = page
  for (const [name, diagram] of diagrams) {
    const [begin, end] = [`<!-- imports of ${name}: made by scripts/import-diagram.ts -->`, `<!-- end of ${name} -->`]
    const [from, to] = [text.indexOf(begin), text.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`${PAGE} lacks the marks "${begin}" and "${end}"`)
    text = `${text.slice(0, from + begin.length)}\n${diagram}\n${text.slice(to)}`
  }
  return text
}

if (process.argv[1]?.endsWith('import-diagram.ts')) {
  const drawn = PACKAGE_RULES.filter(({ root }) => DRAWN.includes(root))
  const diagrams = new Map(drawn.map((rules) => [rules.root.replace(/\/src$/, ''), diagramOf(rules)]))
  const page = readFileSync(PAGE, 'utf8')
  const wanted = withDiagrams(page, diagrams)
  if (!process.argv.includes('--check')) writeFileSync(PAGE, wanted)
  else if (page !== wanted) {
    console.error(`${PAGE} shows other imports than there are: run npx tsx scripts/import-diagram.ts`)
    process.exit(1)
  }
}
