/**
 * The surfaces of fal's API, each of which has its own host there. Here they share one server, and a request says which
 * one it wants by a path prefix (`/queue/fal-ai/x`) or by the Host header (`queue.fal.run`).
 */
export type Surface = 'run' | 'ws' | 'queue' | 'rest' | 'cdn' | 'platform' | 'site'

/** Path under which a surface is routed. Platform and site keep the paths they have on fal (`/v1/…`, `/api/…`). */
export const SURFACE_PREFIX: Readonly<Record<Surface, string>> = {
  run: '/run',
  ws: '/ws',
  queue: '/queue',
  rest: '/rest',
  cdn: '/cdn',
  platform: '',
  site: '',
}

const HOSTS: Readonly<Record<string, Surface>> = {
  'fal.run': 'run',
  'falrun.com': 'run',
  'ws.fal.run': 'ws',
  'queue.fal.run': 'queue',
  'queue.falrun.com': 'queue',
  'rest.fal.ai': 'rest',
  'rest.alpha.fal.ai': 'rest',
  'v3.fal.media': 'cdn',
  'v3b.fal.media': 'cdn',
  'api.fal.ai': 'platform',
  'fal.ai': 'site',
}

/** Sockets of the oldest clients: `wss://110602490-lcm-sd15-i2i.gateway.alpha.fal.ai/ws`. */
const LEGACY_GATEWAY = /^([a-z0-9-]+)\.gateway\.alpha\.fal\.ai$/

/** Every host name that is answered as fal's own: the names a local certificate must hold. */
export const FAL_HOSTS: readonly string[] = [...Object.keys(HOSTS), '*.gateway.alpha.fal.ai']

/** Host name of a Host header, its port dropped, lower case. */
export function hostNameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '')
}

/** The surface a host stands for, or `undefined` for this server's own name, where prefixes decide. */
export function surfaceOfHost(hostName: string): Surface | undefined {
  return LEGACY_GATEWAY.test(hostName) ? 'run' : HOSTS[hostName]
}

/**
 * The path of a request below the prefix under which a reverse proxy shows this server, whether or not the proxy strips it: the
 * prefix of the configured public URL, or the one the proxy tells.
 */
export function withoutPrefix(
  pathname: string,
  publicUrl: string | undefined,
  forwardedPrefix: string | undefined,
): string {
  const shown = publicUrl === undefined ? (forwardedPrefix ?? '') : new URL(publicUrl).pathname
  const prefix = shown.replace(/(?<!\/)\/+$/, '')
  return prefix !== '' && pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : pathname
}

/** The path by which a request is routed: the URL's own, with the prefix that its host stands for in front. */
export function routedPath(host: string, pathname: string): string {
  const hostName = hostNameOf(host)
  const legacy = LEGACY_GATEWAY.exec(hostName)
  if (legacy !== null) return `${SURFACE_PREFIX.run}/${legacy[1]}${pathname}`
  const surface = surfaceOfHost(hostName)
  return surface === undefined ? pathname : `${SURFACE_PREFIX[surface]}${pathname}`
}
