import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { anchorsOf, codeBlocks, linksOf, markdownFiles, REPOSITORY, readPage } from './markdown.ts'

const PAGES = markdownFiles()

test.each(PAGES)('the links of %s lead somewhere', (page) => {
  const broken = linksOf(readPage(page)).filter((href) => {
    if (/^[a-z]+:/.test(href)) return !URL.canParse(href)
    const [target = '', anchor] = href.split('#')
    const path = target === '' ? page : join(dirname(page), target)
    if (!existsSync(join(REPOSITORY, path))) return true
    return anchor !== undefined && !anchorsOf(readPage(path)).has(anchor)
  })
  expect(broken).toEqual([])
})

test('the index names every page of the documentation', () => {
  const named = new Set(linksOf(readPage('docs/README.md')).map((href) => `docs/${href}`))
  const own = PAGES.filter((page) => /^docs\/(guide|endpoints)\//.test(page))
  expect(own.filter((page) => !named.has(page))).toEqual([])
})

/** Source files by their path; a page may leave the folders in front away. */
const SOURCES = execFileSync('git', ['ls-files'], { cwd: REPOSITORY, encoding: 'utf8' })
  .split('\n')
  .filter((file) => /\.(tsx?|mjs|py)$/.test(file))

test.each(PAGES)('the source files that %s names exist', (page) => {
  const named = [...readPage(page).matchAll(/`([\w./-]+\.(?:tsx?|mjs|py))`/g)].map(([, path = '']) => path)
  const imagined = ['x.test.ts', '.ts']
  const exists = (path: string) => SOURCES.some((file) => file === path || file.endsWith(`/${path}`))
  expect(named.filter((path) => !imagined.includes(path) && !exists(path))).toEqual([])
})

test('the layout of ARCHITECTURE.md names every layer', () => {
  const layout = codeBlocks(readPage('ARCHITECTURE.md')).find(({ code }) =>
    code.startsWith('packages/engine/src'),
  )?.code
  const words = new Set(layout?.split(/[\s:]+/))
  const layers = ['packages/engine/src', 'packages/server/src', 'playground/src'].flatMap((root) =>
    readdirSync(join(REPOSITORY, root), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'styles')
      .map(({ name }) => name),
  )
  expect(layers.filter((layer) => !words.has(layer))).toEqual([])
})

const DIFFS = PAGES.flatMap((page) =>
  codeBlocks(readPage(page))
    .filter(({ language }) => language === 'diff')
    .flatMap(({ code }) => code.split(/^\+\+\+ b\//m).slice(1))
    .map((part): [string, string[]] => {
      const [file = '', ...lines] = part.trimEnd().split('\n')
      return [file, lines]
    }),
)

test('the pages show diffs', () => expect(DIFFS.length).toBeGreaterThan(8))

test.each(DIFFS)('the lines that a page shows of %s stand in it', (file, lines) => {
  const source = new Set(readFileSync(join(REPOSITORY, file), 'utf8').split('\n'))
  expect(lines.filter((line) => !source.has(line.slice(1)))).toEqual([])
})

function sourcesOf(folders: readonly string[]): string {
  return folders
    .flatMap((folder) =>
      readdirSync(join(REPOSITORY, folder), { recursive: true }).map((file) => join(folder, String(file))),
    )
    .filter((file) => /(?<!\.test)\.tsx?$/.test(file))
    .map((file) => readFileSync(join(REPOSITORY, file), 'utf8'))
    .join('\n')
}

const LITERAL = /'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/
const REFUSAL = new RegExp(
  `new WireError\\(\\s*\\d{3},\\s*((?:${LITERAL.source})(?:\\s*\\+\\s*(?:${LITERAL.source}))*)`,
  'g',
)

test('every refusal of the server is on the troubleshooting page', () => {
  const page = readPage('docs/guide/troubleshooting.md')
  const refusals = [...sourcesOf(['packages/server/src']).matchAll(REFUSAL)]
    .map(([, literals = '']) =>
      [...literals.matchAll(new RegExp(LITERAL, 'g'))].map(([text]) => text.slice(1, -1)).join(''),
    )
    .map((text) => text.replace(/\$\{[^}]*\}/g, '…').replaceAll("\\'", "'"))
    // What a parameter should be, for which one row stands.
    .filter((text) => !/^[\w… ]+: expected /.test(text))
  expect(refusals.length).toBeGreaterThan(30)
  expect(refusals.filter((text) => !page.includes(`\`${text}\``))).toEqual([])
})

/** Each message's pieces, between what differs, stand in the sources. */
test('the messages of the troubleshooting page are those of the program', () => {
  const sources = sourcesOf(['packages/server/src', 'packages/engine/src', 'playground/src'])
    // Texts that go over a line are joined: 'a ' + 'b', `a ` + 'b'.
    .replace(/['"`] \+\s*['"`]/g, '')
    .replaceAll("\\'", "'")
  const messages = [...readPage('docs/guide/troubleshooting.md').matchAll(/^\|[^`|]*`([^`]+)`/gm)].map(
    ([, text = '']) => text,
  )
  // Of Node, of npm, and a header with its value.
  const foreign = [
    /^Unknown file extension/,
    /^EUSAGE$/,
    /^(x-darkroom-safety-checker|has_nsfw_concepts): /,
    /^@fal-ai\/client$/,
  ]
  const unknown = messages
    .filter((message) => !foreign.some((pattern) => pattern.test(message)))
    .filter((message) => !message.split('…').every((piece) => sources.includes(piece.trim())))
  expect(messages.length).toBeGreaterThan(30)
  expect(unknown).toEqual([])
})

const COMMAND =
  /(?:npx (?:--prefix \S+ )?(?:@darkroom\/server|darkroom)|npm start --|docker run [^|]*?-v \S+ darkroom|^darkroom)\b(.*)$/

const helpTexts = new Map<string, string>()
function helpOf(words: readonly string[]): string {
  const key = words.join(' ')
  const known = helpTexts.get(key)
  if (known !== undefined) return known
  const bin = join(REPOSITORY, 'packages/server/bin/darkroom.js')
  const text = execFileSync(process.execPath, [bin, ...words, '--help'], { encoding: 'utf8' })
  helpTexts.set(key, text)
  return text
}

/** What is wrong with a line of shell, as far as the repository can tell. */
function problemsOf(line: string): string[] {
  const plain = line.replace(/\s+#.*$/, '').trim()
  const problems: string[] = []
  for (const [, script] of plain.matchAll(/npm run ([\w:-]+)/g)) {
    const { scripts } = JSON.parse(readPage('package.json')) as { scripts: Record<string, string> }
    if (script !== undefined && scripts[script] === undefined) problems.push(`no script ${script}`)
  }
  for (const [path] of plain.matchAll(/(?<![\w/.:~-])(deploy|bench|scripts|examples|models|training)\/[\w./-]*\w/g)) {
    // A page says itself how its virtual environment is made.
    if (!path.includes('.venv') && !existsSync(join(REPOSITORY, path))) problems.push(`no file ${path}`)
  }
  const rest = COMMAND.exec(plain)?.[1]
  if (rest !== undefined) problems.push(...commandProblems(rest, plain.includes('npm start')))
  return problems
}

function commandProblems(rest: string, isStart: boolean): string[] {
  const words = rest
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '')
  const commands = isStart ? ['serve'] : words.slice(0, 2).filter((word) => /^[a-z]+$/.test(word))
  const isNested = commands[0] === 'keys'
  const named = isNested ? commands : commands.slice(0, 1)
  if (named.length === 0) return []
  const help = helpOf(named)
  if (!help.startsWith(`Usage: darkroom ${named.join(' ')}`)) return [`no command ${named.join(' ')}`]
  return words
    .filter((word) => word.startsWith('--') && !help.includes(word))
    .map((word) => `${named[0]} has no ${word}`)
}

const SHELL_PAGES = PAGES.filter((page) =>
  codeBlocks(readPage(page)).some(({ language }) => /^(sh|bash)$/.test(language)),
)

test.each(SHELL_PAGES)('the commands of %s are there, with their options', { timeout: 60_000 }, (page) => {
  const lines = codeBlocks(readPage(page))
    .filter(({ language }) => /^(sh|bash)$/.test(language))
    .flatMap(({ code }) => code.replaceAll('\\\n', ' ').split('\n'))
    .filter((line) => line.trim() !== '')
  expect(lines.flatMap((line) => problemsOf(line).map((problem) => `${line}: ${problem}`))).toEqual([])
})
