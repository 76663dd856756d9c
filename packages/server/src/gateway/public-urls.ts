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
 * of the request itself, as a reverse proxy's `X-Forwarded-*` headers tell it.
 */
export function publicUrlsOf(request: AddressedRequest, publicUrl: string | undefined): PublicUrls {
  const header = (name: string) =>
    'headers' in request ? (request.headers.get(name) ?? undefined) : request.header(name)
  const host = header('host') ?? new URL(request.url).host
  const protocol = valid(header('x-forwarded-proto'), /^https?$/) ?? request.url.slice(0, request.url.indexOf(':'))
  if (surfaceOfHost(hostNameOf(host)) !== undefined) return falUrls(protocol, portOf(host))
  const forwardedHost = valid(header('x-forwarded-host'), /^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i) ?? host
  const prefix = valid(header('x-forwarded-prefix'), /^(\/[\w.~%-]+)*\/*$/)?.replace(/\/+$/, '') ?? ''
  const origin = `${protocol}://${forwardedHost}${prefix}`
  const base = publicUrl ?? (URL.canParse(origin) ? origin : new URL(request.url).origin)
  return {
    run: `${base}${SURFACE_PREFIX.run}`,
    queue: `${base}${SURFACE_PREFIX.queue}`,
    rest: `${base}${SURFACE_PREFIX.rest}`,
    cdn: `${base}${SURFACE_PREFIX.cdn}`,
    base,
  }
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
