/**
 * Gives the headings of a page the ids that code hosts give them, so that a link to a section works there and here: lower case, without
 * punctuation, hyphens for spaces, and a number where an id was given before.
 */
export function headingIds(): (text: string) => string {
  const given = new Map<string, number>()
  return (text) => {
    const plain = text
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-')
    const count = given.get(plain) ?? 0
    given.set(plain, count + 1)
    return count === 0 ? plain : `${plain}-${count}`
  }
}
