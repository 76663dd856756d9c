import { endpointPagePath } from './endpoint-page-path.ts'

/** The repository's `docs/`, which the bundle carries: a piece of its own for each page, and its pictures as files. */
const TEXTS = import.meta.glob<string>('../../../docs/**/*.md', { query: '?raw', import: 'default' })
const PICTURES = import.meta.glob<string>('../../../docs/**/*.{jpg,png}', {
  query: '?url',
  import: 'default',
  eager: true,
})

const ROOT = '../../../docs/'

/** Files of the pages, below `docs/`. */
export const DOC_FILES: ReadonlySet<string> = new Set(Object.keys(TEXTS).map((path) => path.slice(ROOT.length)))

/** The file whose page is at an address below `/docs`, or undefined. */
export function docFileAt(place: string): string | undefined {
  const name = place.replace(/\/+$/, '')
  const candidates = name === '' ? ['README.md'] : [`${name}.md`, `${name}/README.md`]
  return candidates.find((file) => DOC_FILES.has(file))
}

export function loadDoc(file: string): Promise<string> {
  const load = TEXTS[`${ROOT}${file}`]
  if (load === undefined) throw new Error(`there is no page ${file}`)
  return load()
}

/** URL of the picture of an endpoint's page, where it has one. */
export function endpointPicture(endpointId: string): string | undefined {
  return PICTURES[`${ROOT}${endpointPagePath(endpointId)}.jpg`]
}

/** URL of a picture that a page names relative to itself. */
export function docPicture(src: string, from: string): string | undefined {
  const { pathname } = new URL(src, `https://repository/docs/${from}`)
  return PICTURES[`${ROOT}${pathname.slice('/docs/'.length)}`]
}
