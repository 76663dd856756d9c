import { hostNameOf, SURFACE_PREFIX, surfaceOfHost } from './surface.ts'

/** Base URLs, without a trailing slash, by which the client of a request reaches the surfaces. */
export interface PublicUrls {
  readonly run: string
  readonly queue: string
  readonly rest: string
  readonly cdn: string
  /** The server's own base, e.g. of `/v1` and the playground. */
  readonly base: string
}

/** What says how a request was addressed: a `Request`, or Hono's `c.req`. */
export type AddressedRequest =
  | { readonly url: string; readonly headers: { get(name: string): string | null } }
  | { readonly url: string; header(name: string): string | undefined }

/**
 * Base URLs for the answers to a request. One that came by fal's host names gets fal's host names, because
 * `get_handle` of the Python client compares them. Every other gets `publicUrl` where it is configured, or the origin
 * of the request itself, as a reverse proxy's `X-Forwarded-*` or `Forwarded` headers tell it.
 */
export function publicUrlsOf(request: AddressedRequest, publicUrl: string | undefined): PublicUrls {
  const header = (name: string) =>
    'headers' in request ? (request.headers.get(name) ?? undefined) : request.header(name)
  const host = header('host') ?? new URL(request.url).host
  const forwarded = readForwarded(header('forwarded'))
  const protocol =
    valid(header('x-forwarded-proto') ?? forwarded.proto, /^https?$/) ?? request.url.slice(0, request.url.indexOf(':'))
  if (surfaceOfHost(hostNameOf(host)) !== undefined) return falUrls(protocol, portOf(host))
  const forwardedHost = valid(header('x-forwarded-host') ?? forwarded.host, HOST)
  const shownHost = withPort(forwardedHost ?? host, valid(header('x-forwarded-port'), /^\d{1,5}$/), protocol)
  const prefix = valid(header('x-forwarded-prefix'), /^(\/[\w.~%-]+)*\/*$/)?.replace(/(?<!\/)\/+$/, '') ?? ''
  const origin = `${protocol}://${shownHost}${prefix}`
  const base = publicUrl ?? (URL.canParse(origin) ? origin : new URL(request.url).origin)
  return {
    run: `${base}${SURFACE_PREFIX.run}`,
    queue: `${base}${SURFACE_PREFIX.queue}`,
    rest: `${base}${SURFACE_PREFIX.rest}`,
    cdn: `${base}${SURFACE_PREFIX.cdn}`,
    base,
  }
}

const HOST = /^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i

/** The client's own hop in `Forwarded: for=…;host=…;proto=…` (RFC 7239). */
function readForwarded(text: string | undefined): { readonly host?: string; readonly proto?: string } {
  const pairs = (text?.split(',')[0] ?? '').split(';').flatMap((pair): [string, string][] => {
    const [name = '', value = ''] = pair.split('=', 2).map((side) => side.trim())
    return /^(host|proto)$/i.test(name) ? [[name.toLowerCase(), value.replace(/^"|"$/g, '')]] : []
  })
  return Object.fromEntries(pairs)
}

/** A host with the port that a proxy tells, where the host names none; the scheme's own port is left out. */
function withPort(host: string, port: string | undefined, protocol: string): string {
  if (port === undefined || /:\d+$/.test(host)) return host
  return port === (protocol === 'https' ? '443' : '80') ? host : `${host}:${port}`
}

function falUrls(protocol: string, port: string): PublicUrls {
  return {
    run: `${protocol}://fal.run${port}`,
    queue: `${protocol}://queue.fal.run${port}`,
    rest: `${protocol}://rest.fal.ai${port}`,
    cdn: `${protocol}://v3.fal.media${port}`,
    base: `${protocol}://api.fal.ai${port}`,
  }
}

function portOf(host: string): string {
  return /:\d+$/.exec(host)?.[0] ?? ''
}

/** The first entry of a forwarding header, unless a caller wrote into it what no proxy does. */
function valid(list: string | undefined, form: RegExp): string | undefined {
  const first = list?.split(',')[0]?.trim()
  return first !== undefined && first !== '' && form.test(first) ? first : undefined
}
