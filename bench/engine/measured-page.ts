const BEGIN = '<!-- measured -->'
const END = '<!-- end of measured -->'

/** Sections of a page's measured part by title, in order. */
function sectionsOf(measured: string): Map<string, string> {
  const sections = new Map<string, string>()
  for (const part of measured.split(/^### /m).slice(1)) {
    const end = part.indexOf('\n')
    sections.set(part.slice(0, end).trim(), part.slice(end).trim())
  }
  return sections
}

/**
 * A page with sections put into its measured part: those that were measured now in place of older ones of their titles, the others as they were. So
 * models can be measured one a day; each section says when and on what.
 * @param measured text by title
 * @throws Error for a page without such a part
 */
export function withMeasured(page: string, measured: ReadonlyMap<string, string>): string {
  const [before, rest] = page.split(BEGIN)
  const [old, after] = rest?.split(END) ?? []
  if (before === undefined || old === undefined || after === undefined) {
    throw new Error(`the page has no part between ${BEGIN} and ${END}`)
  }
  const sections = [...new Map([...sectionsOf(old), ...measured])].map(([title, text]) => `### ${title}\n\n${text}`)
  return `${before}${[BEGIN, ...sections, END].join('\n\n')}${after}`
}
