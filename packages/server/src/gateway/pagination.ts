import { WireError } from '../errors/errors.ts'

/** Platform API pages. The cursor is the page's number from 1 in base64 without padding, as the live service has it. */
export interface Page {
  readonly limit: number
  readonly offset: number
  readonly number: number
}

/** @throws WireError 400 for a limit out of range or a cursor that is none of ours */
export function readPage(query: { limit: string | undefined; cursor: string | undefined }, limits: PageLimits): Page {
  const limit = readLimit(query.limit, limits)
  const number = query.cursor === undefined || query.cursor === '' ? 1 : decodeCursor(query.cursor)
  return { limit, number, offset: (number - 1) * limit }
}

export interface PageLimits {
  readonly standard: number
  readonly most: number
}

/** @throws WireError 400 for a limit out of range */
export function readLimit(text: string | undefined, limits: PageLimits): number {
  const limit = text === undefined ? limits.standard : Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= limits.most) return limit
  throw new WireError(400, `limit: expected a whole number from 1 to ${limits.most}, found ${text?.slice(0, 100)}`)
}

function decodeCursor(cursor: string): number {
  const number = Number(Buffer.from(cursor, 'base64').toString('latin1'))
  if (Number.isSafeInteger(number) && number >= 1) return number
  throw new WireError(400, 'cursor: expected the next_cursor of an earlier answer')
}

/** The `next_cursor` and `has_more` behind a page. */
export function pageEnd(page: Page, hasMore: boolean): { next_cursor: string | null; has_more: boolean } {
  return {
    next_cursor: hasMore
      ? Buffer.from(String(page.number + 1))
          .toString('base64')
          .replace(/=+$/, '')
      : null,
    has_more: hasMore,
  }
}
