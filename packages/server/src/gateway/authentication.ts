import type { MiddlewareHandler } from 'hono'
import { WireError } from '../errors/errors.ts'
import { applicationOf, parseEndpointId } from '../protocol/endpoint-id.ts'
import { DEFAULT_ACCOUNT } from '../queue/request-queue.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv } from './dependencies.ts'
import type { KeyScope, VerifiedKey } from './key-store.ts'

type AuthenticationDependencies = Pick<GatewayDependencies, 'keys' | 'tokens'>

const KEY_FORMAT = "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."
const UNKNOWN_KEY = 'No user found for Key ID and Secret'

/**
 * Lets a request pass that shows a key of at least the scope, of the account where one is said, or any request in no-key mode;
 * sets `key`.
 * @throws WireError 401 in fal's words, 403 for a scope too small
 */
export function requireKey(
  dependencies: Pick<GatewayDependencies, 'keys'>,
  options: { readonly scope?: KeyScope; readonly missing?: string; readonly account?: string } = {},
): MiddlewareHandler<GatewayEnv> {
  return async function keyMiddleware(c, next) {
    const key = await verifyKey(dependencies, c.req.header('authorization'), options.missing)
    if (options.scope === 'ADMIN' && key !== undefined && key.scope !== 'ADMIN') {
      throw new WireError(403, 'This key has scope API; expected a key of scope ADMIN')
    }
    if (options.account !== undefined && key !== undefined && key.account !== options.account) {
      throw new WireError(403, `This is about the whole server: expected a key of the account ${options.account}`)
    }
    c.set('key', key)
    await next()
  }
}

/** The account that a request is made for: the key's, or everybody's in no-key mode. */
export function accountOf(c: GatewayContext): string {
  return c.var.key?.account ?? DEFAULT_ACCOUNT
}

/**
 * As `requireKey`, for the routes of an application: a browser's `fal_jwt_token` in the query also opens them.
 * @param prefix what stands before the endpoint id in the routed path
 */
export function requireKeyOrToken(
  dependencies: AuthenticationDependencies,
  prefix: string,
): MiddlewareHandler<GatewayEnv> {
  return async function keyOrTokenMiddleware(c, next) {
    const application = applicationInPath(c, prefix)
    const token = c.req.query('fal_jwt_token')
    if (token !== undefined && c.req.header('authorization') === undefined && dependencies.keys !== undefined) {
      const key = await verifyToken(dependencies, token, application)
      if (key === undefined) throw new WireError(401, 'Unauthorized')
      c.set('key', key)
      c.set('token', token)
    } else {
      c.set('key', await verifyKey(dependencies, c.req.header('authorization'), accessDenied(application)))
    }
    await next()
  }
}

/**
 * The key of an Authorization header (`Key id:secret` or `Bearer id:secret`, the scheme in any case).
 * @returns `undefined` in no-key mode
 * @throws WireError 401
 */
export async function verifyKey(
  dependencies: Pick<GatewayDependencies, 'keys'>,
  authorization: string | undefined,
  missing = 'Authorization header is required',
): Promise<VerifiedKey | undefined> {
  const { keys } = dependencies
  if (keys === undefined) return undefined
  if (authorization === undefined) throw new WireError(401, missing)
  const [scheme = ''] = /^\S+/.exec(authorization.trim()) ?? []
  const credentials = authorization.trim().slice(scheme.length).trim()
  if (!/^(key|bearer)$/i.test(scheme)) throw new WireError(401, KEY_FORMAT)
  const separator = credentials.indexOf(':')
  if (separator < 1 || separator === credentials.length - 1) throw new WireError(401, KEY_FORMAT)
  const key = await keys.verify(credentials.slice(0, separator), credentials.slice(separator + 1))
  if (key === undefined) throw new WireError(401, UNKNOWN_KEY)
  return key
}

/**
 * The key that a token was made with, as one of scope API.
 * @returns `undefined` for a token that does not open the application: nor does any whose key was revoked since, or
 *   that was made when the server asked for no keys
 */
export async function verifyToken(
  { keys, tokens }: AuthenticationDependencies,
  token: string,
  application: string,
): Promise<VerifiedKey | undefined> {
  const keyId = (await tokens.verify(token, application))?.keyId
  const key = keyId === undefined ? undefined : await keys?.find(keyId)
  return key === undefined ? undefined : { ...key, scope: 'API' }
}

function applicationInPath(c: GatewayContext, prefix: string): string {
  const id = parseEndpointId(c.req.path.slice(prefix.length))
  return id === undefined ? '' : applicationOf(id)
}

function accessDenied(application: string): string {
  return `Cannot access application "${application}". Authentication is required to access this application.`
}
