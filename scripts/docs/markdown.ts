import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { headingIds } from '../../playground/src/docs/heading-ids.ts'

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

export interface CodeBlock {
  readonly language: string
  readonly code: string
}

/** Paths of the repository's pages, relative to its root. */
export function markdownFiles(): readonly string[] {
  const skipped = /(^|\/)(node_modules|dist|work|\.venv|\.git|data)(\/|$)/
  return readdirSync(REPOSITORY, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name).slice(REPOSITORY.length).replaceAll('\\', '/'))
    .filter((path) => !skipped.test(path))
    .sort()
}

export function readPage(path: string): string {
  return readFileSync(join(REPOSITORY, path), 'utf8')
}

export function codeBlocks(text: string): readonly CodeBlock[] {
  return [...text.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)].map(([, language = '', code = '']) => ({ language, code }))
}

/** The page without its blocks of code and its spans of code. */
function prose(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '``')
}

export function linksOf(text: string): readonly string[] {
  return [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, href = '']) => href)
}

/** Ids of the page's headings, as code hosts and the server give them. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const idOf = headingIds()
  const headings = text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)
  return new Set([...headings].map(([, heading = '']) => idOf(heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1'))))
}
