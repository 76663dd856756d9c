import type { ByteRange, ObjectInfo } from '../../storage/object-store.ts'

const MEDIA_TYPE =
  /^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+(\s*;\s*[A-Za-z0-9-]+=("[^"\\\r\n]*"|[A-Za-z0-9!#$&^_.+-]+))*$/
const CACHE_SECONDS = 86_400

/** Types that a browser shows without running anything; the rest is saved instead of opened. */
const SHOWN = /^(image\/(?!svg)|audio\/|video\/|text\/plain\b|application\/json\b)/

/** A client's content type, or `application/octet-stream` where it is none. */
export function contentTypeOf(value: string | null | undefined): string {
  const type = value?.trim() ?? ''
  return type.length <= 200 && MEDIA_TYPE.test(type) ? type : 'application/octet-stream'
}

/**
 * Headers of a stored file. Anyone may upload HTML or SVG and link to it here, so nothing is sniffed, the sandbox takes
 * scripts and this origin away from whatever is opened, and what a browser would run is saved instead.
 */
export function fileHeaders(info: ObjectInfo, now: Date): Record<string, string> {
  const name =
    info.key
      .split('/')
      .at(-1)
      ?.replace(/^[0-9a-f]{30}_/, '') ?? 'file'
  return {
    'content-type': info.contentType,
    'content-disposition': `${SHOWN.test(info.contentType) ? 'inline' : 'attachment'}; filename="${name}"`,
    'accept-ranges': 'bytes',
    etag: `"${info.etag}"`,
    'last-modified': info.createdAt.toUTCString(),
    'cache-control': cacheControl(info, now),
    'x-content-type-options': 'nosniff',
    'content-security-policy':
      "default-src 'none'; img-src data: 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
    'cross-origin-resource-policy': 'cross-origin',
  }
}

function cacheControl(info: ObjectInfo, now: Date): string {
  if (info.acl !== undefined) return 'private, no-store'
  const remaining = info.expiresAt === undefined ? CACHE_SECONDS : (info.expiresAt.getTime() - now.getTime()) / 1000
  return `public, max-age=${Math.max(0, Math.floor(Math.min(CACHE_SECONDS, remaining)))}`
}

/** True when the client's copy is the current one. */
export function isFresh(headers: Headers, info: ObjectInfo): boolean {
  const tags = headers.get('if-none-match')
  if (tags !== null)
    return tags.trim() === '*' || tags.split(',').some((tag) => tag.trim().replace(/^W\//, '') === `"${info.etag}"`)
  const since = Date.parse(headers.get('if-modified-since') ?? '')
  return !Number.isNaN(since) && Math.floor(info.createdAt.getTime() / 1000) * 1000 <= since
}

/**
 * The one range asked for (RFC 9110, 14.2). `undefined`: send the whole file, as for several ranges, a unit other than
 * bytes, bad syntax, or an If-Range of an older file. `unsatisfiable`: answer 416.
 */
export function rangeOf(headers: Headers, info: ObjectInfo): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(headers.get('range')?.trim() ?? '')
  if (match === null) return undefined
  const ifRange = headers.get('if-range')
  if (ifRange !== null && ifRange !== `"${info.etag}"` && ifRange !== info.createdAt.toUTCString()) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  if (first === '') {
    const suffix = Number(last)
    return suffix === 0 || info.size === 0
      ? 'unsatisfiable'
      : { start: Math.max(0, info.size - suffix), end: info.size - 1 }
  }
  const start = Number(first)
  const end = last === '' ? info.size - 1 : Math.min(Number(last), info.size - 1)
  if (last !== '' && Number(last) < start) return undefined
  return start >= info.size ? 'unsatisfiable' : { start, end }
}
