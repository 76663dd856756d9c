/** A list that is read a page at a time, as far as it was read. */
export interface PagedSource<T> {
  readonly id: string
  /** Where its next page begins: `''` at the start, undefined when there is none. */
  readonly cursor: string | undefined
  /** Read and not handed out yet, in order. */
  readonly held: readonly T[]
}

export interface SourcePage<T> {
  readonly items: readonly T[]
  readonly cursor: string | undefined
}

export interface MergedPage<T> {
  readonly items: readonly T[]
  /** Where the next page goes on; undefined at the end of all. */
  readonly next: readonly PagedSource<T>[] | undefined
}

/**
 * The next items of several ordered lists as one ordered list. A list of which nothing is held is read on first, for its next item may come
 * before the others'.
 * @param count items of a page, the last page's fewer
 * @param comesFirst whether an item is to stand before another
 */
export async function nextMergedPage<T>(
  sources: readonly PagedSource<T>[],
  count: number,
  readPage: (id: string, cursor: string) => Promise<SourcePage<T>>,
  comesFirst: (a: T, b: T) => boolean,
): Promise<MergedPage<T>> {
  const items: T[] = []
  let current = sources
  while (items.length < count) {
    current = await Promise.all(current.map((source) => filled(source, readPage)))
    const first = current.reduce<PagedSource<T> | undefined>((best, source) => {
      const [item] = source.held
      const [bestItem] = best?.held ?? []
      if (item === undefined) return best
      return bestItem === undefined || comesFirst(item, bestItem) ? source : best
    }, undefined)
    if (first === undefined) return { items, next: undefined }
    items.push(...first.held.slice(0, 1))
    current = current.map((source) => (source === first ? { ...source, held: source.held.slice(1) } : source))
  }
  const isEnd = current.every(({ held, cursor }) => held.length === 0 && cursor === undefined)
  return { items, next: isEnd ? undefined : current }
}

async function filled<T>(
  source: PagedSource<T>,
  readPage: (id: string, cursor: string) => Promise<SourcePage<T>>,
): Promise<PagedSource<T>> {
  if (source.held.length > 0 || source.cursor === undefined) return source
  const { items, cursor } = await readPage(source.id, source.cursor)
  return { id: source.id, held: items, cursor }
}
