import type { MiddlewareHandler } from 'hono'
import type { Config } from '../config/config.ts'
import { WireError } from '../errors/errors.ts'
import type { GatewayEnv } from './dependencies.ts'

/**
 * Whether a page of this origin may call the API. With keys any page may, as with fal: it has to know a key. Without keys a
 * page of the web that somebody happens to visit could draw on this machine and read its pictures, so only pages of this
 * machine may, unless the configuration names others.
 * @param origin the Origin header; absent on calls that no page makes
 */
export function isOriginAllowed(origin: string | undefined, config: Pick<Config, 'auth' | 'allowedOrigins'>): boolean {
  if (origin === undefined || origin === '') return true
  const { allowedOrigins } = config
  if (allowedOrigins !== undefined) return allowedOrigins.includes('*') || allowedOrigins.includes(origin)
  return config.auth === 'keys' || isLocal(origin)
}

function isLocal(origin: string): boolean {
  if (!URL.canParse(origin)) return false
  const { hostname } = new URL(origin)
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}

/** Refuses calls of foreign pages before anything is done for them: not every such call is preceded by a preflight. */
export function refuseForeignOrigins(config: Pick<Config, 'auth' | 'allowedOrigins'>): MiddlewareHandler<GatewayEnv> {
  return async function originMiddleware(c, next) {
    const origin = c.req.header('origin')
    if (!isOriginAllowed(origin, config)) throw foreignOrigin(origin)
    await next()
  }
}

export function foreignOrigin(origin: string | undefined): WireError {
  return new WireError(
    403,
    `Pages of ${origin} may not call this server: it needs no keys, so it answers pages of this machine only. ` +
      'Start it with --auth keys, or name the origin in DARKROOM_ALLOWED_ORIGINS.',
  )
}
