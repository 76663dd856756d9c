import { expect, it } from 'vitest'
import { nextMergedPage, type PagedSource } from './merged-pages.ts'

const LISTS: Readonly<Record<string, readonly number[]>> = { a: [9, 8, 2, 1], b: [7, 6, 5, 4], c: [] }

/** Reads pages of two, and notes which. */
function reader() {
  const reads: string[] = []
  const readPage = async (id: string, cursor: string) => {
    reads.push(`${id}${cursor}`)
    const from = Number(cursor)
    const all = LISTS[id] ?? []
    return { items: all.slice(from, from + 2), cursor: from + 2 < all.length ? String(from + 2) : undefined }
  }
  return { reads, readPage }
}

const newerFirst = (a: number, b: number) => a > b
const START: readonly PagedSource<number>[] = Object.keys(LISTS).map((id) => ({ id, cursor: '', held: [] }))

it('hands out several lists as one, page by page, and reads no more than it needs', async () => {
  const { reads, readPage } = reader()
  const first = await nextMergedPage(START, 3, readPage, newerFirst)
  expect(first.items).toEqual([9, 8, 7])
  expect(reads).toEqual(['a', 'b', 'c', 'a2'])
  const second = await nextMergedPage(first.next ?? [], 3, readPage, newerFirst)
  expect(second.items).toEqual([6, 5, 4])
  expect(reads).toEqual(['a', 'b', 'c', 'a2', 'b2'])
  const third = await nextMergedPage(second.next ?? [], 3, readPage, newerFirst)
  expect(third).toEqual({ items: [2, 1], next: undefined })
  expect(reads).toHaveLength(5)
})

it('ends where a page ends with the last item', async () => {
  const { readPage } = reader()
  expect((await nextMergedPage(START, 8, readPage, newerFirst)).next).toBeUndefined()
})
