/** Where fal's hosts are on a Darkroom: one origin, a path prefix for each. */
const PREFIX_OF_HOST: Readonly<Record<string, string>> = {
  'fal.run': '/run',
  'queue.fal.run': '/queue',
  'rest.fal.ai': '/rest',
  'rest.alpha.fal.ai': '/rest',
  'v3.fal.media': '/cdn',
  'api.fal.ai': '',
}

/**
 * The base URL of a Darkroom without a trailing slash. In a page it may be relative to the page: `/` or `/darkroom`.
 * @throws TypeError for a URL that is none
 */
export function darkroomBase(url: string, pageUrl?: string): string {
  const base = new URL(url, pageUrl)
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new TypeError(`url: expected http://host[:port] or https://host, found ${url}`)
  }
  return `${base.origin}${base.pathname.replace(/\/+$/, '')}`
}

/** The URL on the Darkroom that stands for one of fal's; any other URL stays as it is. `wss:` stays a socket's URL. */
export function toDarkroomUrl(url: string, base: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^(https|wss):$/.test(parsed.protocol)) return url
  const prefix = PREFIX_OF_HOST[parsed.host]
  if (prefix === undefined) return url
  const origin = parsed.protocol === 'wss:' ? base.replace(/^http/, 'ws') : base
  return `${origin}${prefix}${parsed.pathname}${parsed.search}`
}
