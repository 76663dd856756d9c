import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link, NavLink, useLocation, useParams } from 'react-router'
import { IS_PUBLIC } from '../api/connection.ts'
import { docGroups } from '../docs/doc-index.ts'
import { DOC_FILES, docFileAt, loadDoc } from '../docs/doc-library.ts'
import { resolveLink } from '../docs/doc-links.ts'
import { DocView } from '../docs/doc-view.tsx'
import { NothingThere } from '../parts/nothing-there.tsx'
import { usePageTitle } from '../parts/page-title.ts'

const INDEX = 'README.md'
/** As the style sheet has it. */
const WIDE = '(min-width: 901px)'

/** The documentation: the repository's own pages. */
export default function DocsPage() {
  const { '*': place = '' } = useParams()
  const file = docFileAt(place)
  const { data: text } = useDoc(file)
  usePageTitle(titleOf(text) ?? 'Documentation')
  useHash(text)
  const endpointId = file?.startsWith('endpoints/') ? titleOf(text) : undefined
  return (
    <div className="docs">
      <DocsNavigation />
      {file === undefined ? <NothingThere text="There is no such page" /> : null}
      {file === undefined || text === undefined ? null : (
        <div className="doc-page">
          <DocView file={file} text={text} />
          {endpointId === undefined ? null : (
            <Link className="button doc-try" to={`/models/${endpointId}`}>
              Open in the playground
            </Link>
          )}
        </div>
      )}
    </div>
  )
}

function DocsNavigation() {
  const { pathname } = useLocation()
  const { data: index } = useDoc(INDEX)
  return (
    <nav className="docs-nav" aria-label="Documentation">
      {/* Folded where it would push the page itself out of sight; a new page folds it again. */}
      <details key={pathname} open={window.matchMedia(WIDE).matches}>
        <summary>All pages</summary>
        {docGroups(index ?? '').map(({ title, pages }) => (
          <section key={title}>
            <p className="docs-group">{title}</p>
            <ul>
              {pages.map(({ title: name, href }) => {
                const link = resolveLink(href, INDEX, DOC_FILES)
                return link.kind === 'page' ? (
                  <li key={href}>
                    <NavLink to={link.path} end>
                      {name}
                    </NavLink>
                  </li>
                ) : null
              })}
            </ul>
          </section>
        ))}
      </details>
    </nav>
  )
}

function useDoc(file: string | undefined) {
  return useQuery({
    queryKey: ['doc', file],
    queryFn: () => loadDoc(file ?? INDEX),
    enabled: file !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    meta: IS_PUBLIC,
  })
}

/** Goes to the section that the address names, once there is a page. */
function useHash(text: string | undefined): void {
  const { hash, key } = useLocation()
  // biome-ignore lint/correctness/useExhaustiveDependencies: a link that is followed once more leads there once more
  useEffect(() => {
    if (text !== undefined && hash !== '') document.getElementById(decodeURIComponent(hash.slice(1)))?.scrollIntoView()
  }, [hash, key, text])
}

function titleOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : /^# (.+)$/m.exec(text)?.[1]?.replaceAll('`', '')
}
