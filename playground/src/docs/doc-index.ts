import { marked, type Token, type Tokens } from 'marked'

export interface DocGroup {
  readonly title: string
  readonly pages: readonly { readonly title: string; readonly href: string }[]
}

/** The groups of the index page: its second-level headings, and the links of the lists below each. */
export function docGroups(index: string): readonly DocGroup[] {
  const groups: { title: string; pages: { title: string; href: string }[] }[] = []
  for (const token of marked.lexer(index)) {
    if (token.type === 'heading' && token.depth === 2) groups.push({ title: token.text, pages: [] })
    if (token.type === 'list')
      for (const item of (token as Tokens.List).items) groups.at(-1)?.pages.push(...linksOf(item))
  }
  return groups
}

/** The first link of a list's entry; what follows it is for readers of the index itself. */
function linksOf(item: Tokens.ListItem): { title: string; href: string }[] {
  const [link] = flatten(item.tokens).filter((token) => token.type === 'link')
  return link === undefined
    ? []
    : [{ title: (link as Tokens.Link).text.replaceAll('`', ''), href: (link as Tokens.Link).href }]
}

function flatten(tokens: readonly Token[]): readonly Token[] {
  return tokens.flatMap((token) => [token, ...('tokens' in token && token.tokens ? flatten(token.tokens) : [])])
}
