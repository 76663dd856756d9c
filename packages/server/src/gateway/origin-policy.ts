import type { MiddlewareHandler } from 'hono'
import type { Config } from '../config/config.ts'
import { WireError } from '../errors/errors.ts'
import type { GatewayEnv } from './dependencies.ts'
import { hostNameOf, surfaceOfHost } from './surface.ts'

type OriginConfig = Pick<Config, 'auth' | 'allowedOrigins' | 'publicUrl'>

/**
 * Whether a page of this origin may call the API. With keys any page may, as with fal: it has to know a key. Without keys a
 * page of the web that somebody happens to visit could draw on this machine and read its pictures, so only pages of this
 * machine and of the server's public URL may, unless the configuration names others. It may also name the only ones for a server
 * with keys.
 * @param origin the Origin header; absent on calls that no page makes
 */
export function isOriginAllowed(origin: string | undefined, config: OriginConfig): boolean {
  if (origin === undefined || origin === '') return true
  const { allowedOrigins, publicUrl } = config
  if (publicUrl !== undefined && new URL(publicUrl).origin === origin) return true
  if (allowedOrigins !== undefined) return allowedOrigins.includes('*') || allowedOrigins.includes(origin)
  return config.auth === 'keys' || isLocal(origin)
}

function isLocal(origin: string): boolean {
  if (!URL.canParse(origin)) return false
  const { hostname } = new URL(origin)
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}

/** Names that the public domain name system gives to nobody (RFC 6761, 6762, 8375, and `.internal`). */
const PRIVATE_NAME = /\.(localhost|local|internal|lan|test|home\.arpa)$/

/**
 * Whether a server without keys answers to this Host. A page of `http://evil.example:3010` whose name was pointed at this machine
 * after it was loaded (DNS rebinding) is of the same origin as the server, and its GETs carry no Origin header; only the name in the
 * Host header gives it away. Addresses and names that the public DNS does not know cannot be used so.
 * @param host the Host header
 */
export function isHostAllowed(host: string | undefined, config: OriginConfig): boolean {
  const { auth, allowedOrigins = [], publicUrl } = config
  if (auth === 'keys' || host === undefined || allowedOrigins.includes('*')) return true
  const name = hostNameOf(host).replace(/\.$/, '')
  const isAddress = name.startsWith('[') || /^\d+(\.\d+){3}$/.test(name)
  if (isAddress || !name.includes('.') || PRIVATE_NAME.test(name) || surfaceOfHost(name) !== undefined) return true
  const named = [...allowedOrigins, ...(publicUrl === undefined ? [] : [publicUrl])]
  return named.some((url) => URL.canParse(url) && new URL(url).hostname === name)
}

/** Refuses calls of foreign pages before anything is done for them: not every such call is preceded by a preflight. */
export function refuseForeignOrigins(config: OriginConfig): MiddlewareHandler<GatewayEnv> {
  return async function originMiddleware(c, next) {
    const origin = c.req.header('origin')
    if (!isOriginAllowed(origin, config)) throw foreignOrigin(origin, config)
    const host = c.req.header('host')
    if (!isHostAllowed(host, config)) throw foreignHost(host)
    await next()
  }
}

export function foreignOrigin(origin: string | undefined, { allowedOrigins }: OriginConfig): WireError {
  const reason =
    allowedOrigins === undefined
      ? 'it needs no keys, so it answers pages of this machine only. Start it with --auth keys, or name'
      : 'it answers pages of the origins that it was told. Name'
  return new WireError(
    403,
    `Pages of ${origin} may not call this server: ${reason} the origin in DARKROOM_ALLOWED_ORIGINS.`,
  )
}

function foreignHost(host: string | undefined): WireError {
  return new WireError(
    421,
    `This server needs no keys, so it answers to addresses and private names only, not to ${host}. ` +
      'Start it with --auth keys, or set DARKROOM_PUBLIC_URL to the URL by which it is reached.',
  )
}
