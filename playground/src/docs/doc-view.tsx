// biome-ignore-all lint/suspicious/noArrayIndexKey: a page's text does not change
import { marked, type Token, type Tokens } from 'marked'
import { Fragment, type ReactNode } from 'react'
import { Link } from 'react-router'
import { CopyButton } from '../parts/copy-button.tsx'
import { DOC_FILES, docPicture } from './doc-library.ts'
import { resolveLink } from './doc-links.ts'
import { headingIds } from './heading-ids.ts'

interface PageContext {
  /** The page's file below `docs/`. */
  readonly file: string
  readonly idOf: (text: string) => string
}

/** A page of Markdown as elements: nothing of it is taken as HTML. */
export function DocView({ file, text }: { readonly file: string; readonly text: string }) {
  const page = { file, idOf: headingIds() }
  return <article className="doc">{blocks(marked.lexer(text), page)}</article>
}

function blocks(tokens: readonly Token[], page: PageContext): ReactNode {
  return tokens.map((token, i) => <Fragment key={i}>{block(token, page)}</Fragment>)
}

function block(token: Token, page: PageContext): ReactNode {
  switch (token.type) {
    case 'heading':
      return <Heading token={token as Tokens.Heading} page={page} />
    case 'paragraph':
      return <p>{inline(token.tokens ?? [], page)}</p>
    case 'text':
      return token.tokens === undefined ? token.text : inline(token.tokens, page)
    case 'code':
      return <CodeBlock token={token as Tokens.Code} />
    case 'list':
      return <List token={token as Tokens.List} page={page} />
    case 'table':
      return <Table token={token as Tokens.Table} page={page} />
    case 'blockquote':
      return <blockquote>{blocks(token.tokens ?? [], page)}</blockquote>
    case 'hr':
      return <hr />
    default:
      // Blank lines, and comments for the tools that write parts of pages.
      return null
  }
}

function Heading({ token, page }: { readonly token: Tokens.Heading; readonly page: PageContext }) {
  const Name = `h${token.depth}` as 'h1'
  return <Name id={page.idOf(token.text)}>{inline(token.tokens, page)}</Name>
}

function CodeBlock({ token }: { readonly token: Tokens.Code }) {
  return (
    <div className="doc-code">
      {/* Scrolls sideways, which a keyboard can do in what it can reach only. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
      <pre className="code" tabIndex={0}>
        {token.text}
      </pre>
      <CopyButton text={token.text} label="Copy" />
    </div>
  )
}

function List({ token, page }: { readonly token: Tokens.List; readonly page: PageContext }) {
  const Name = token.ordered ? 'ol' : 'ul'
  return (
    <Name>
      {token.items.map((item, i) => (
        <li key={i}>{blocks(item.tokens, page)}</li>
      ))}
    </Name>
  )
}

function Table({ token, page }: { readonly token: Tokens.Table; readonly page: PageContext }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolls sideways on a phone
    <div className="doc-table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {token.header.map((cell, i) =>
              // A heading without a word is none.
              cell.text === '' ? (
                <td key={i} />
              ) : (
                <th key={i} scope="col">
                  {inline(cell.tokens, page)}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, i) => (
            <tr key={i}>
              {row.map((cell, j) => (
                <td key={j}>{inline(cell.tokens, page)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function inline(tokens: readonly Token[], page: PageContext): ReactNode {
  return tokens.map((token, i) => <Fragment key={i}>{span(token, page)}</Fragment>)
}

function span(token: Token, page: PageContext): ReactNode {
  switch (token.type) {
    case 'strong':
      return <strong>{inline(token.tokens ?? [], page)}</strong>
    case 'em':
      return <em>{inline(token.tokens ?? [], page)}</em>
    case 'del':
      return <del>{inline(token.tokens ?? [], page)}</del>
    case 'codespan':
      return <code>{unescaped(token.text)}</code>
    case 'br':
      return <br />
    case 'link':
      return <DocAnchor token={token as Tokens.Link} page={page} />
    case 'image':
      return <DocPicture token={token as Tokens.Image} page={page} />
    case 'escape':
      return unescaped(token.text)
    case 'text':
      return token.tokens === undefined ? unescaped(token.text) : inline(token.tokens, page)
    default:
      return null
  }
}

function DocAnchor({ token, page }: { readonly token: Tokens.Link; readonly page: PageContext }) {
  const target = resolveLink(token.href, page.file, DOC_FILES)
  const text = inline(token.tokens, page)
  if (target.kind === 'page') {
    return <Link to={{ pathname: target.path, ...(target.hash !== '' && { hash: `#${target.hash}` }) }}>{text}</Link>
  }
  if (target.kind === 'outside') return <a href={target.url}>{text}</a>
  // A file of the repository, which is not served.
  const isNamed = token.text.replaceAll('`', '') === target.path
  return isNamed ? (
    <code>{target.path}</code>
  ) : (
    <>
      {text} (<code>{target.path}</code> in the repository)
    </>
  )
}

function DocPicture({ token, page }: { readonly token: Tokens.Image; readonly page: PageContext }) {
  const src = docPicture(token.href, page.file)
  if (src === undefined) return token.text
  // Rows of pictures, without a field and with it.
  const isRow = token.href.startsWith('fields/')
  return <img src={src} alt={token.text} loading="lazy" className={isRow ? 'picture-row' : 'picture'} />
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
}

/** The lexer escapes some texts for HTML, which React does once more. */
function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity)
}
