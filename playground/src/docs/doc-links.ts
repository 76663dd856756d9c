/** Where a link of a page leads: to another page here, to a place on the same page, out of here, or to a file of the repository. */
export type DocLink =
  | { readonly kind: 'page'; readonly path: string; readonly hash: string }
  | { readonly kind: 'outside'; readonly url: string }
  | { readonly kind: 'file'; readonly path: string }

/** Address of a page by its file below `docs/`: `guide/clients.md` → `/docs/guide/clients`, `decisions/README.md` → `/docs/decisions`. */
export function addressOf(file: string): string {
  const place = file.replace(/(^|\/)README\.md$/, '').replace(/\.md$/, '')
  return place === '' ? '/docs' : `/docs/${place}`
}

/**
 * Resolves a link.
 * @param from file of the page below `docs/`
 * @param files the pages that there are
 */
export function resolveLink(href: string, from: string, files: ReadonlySet<string>): DocLink {
  if (/^[a-z]+:/i.test(href)) return { kind: 'outside', url: href }
  const [target = '', hash = ''] = href.split('#')
  if (target === '') return { kind: 'page', path: addressOf(from), hash }
  // The repository's root is above docs/: what leads out of docs/ is a file that is not served.
  const { pathname } = new URL(target, `https://repository/docs/${from}`)
  const inDocs = pathname.startsWith('/docs/') ? pathname.slice('/docs/'.length) : undefined
  const file = inDocs?.endsWith('/') ? `${inDocs}README.md` : inDocs
  if (file !== undefined && files.has(file)) return { kind: 'page', path: addressOf(file), hash }
  return { kind: 'file', path: pathname.slice(1) }
}
