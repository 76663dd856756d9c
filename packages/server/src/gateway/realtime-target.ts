import type { Catalogue } from '../endpoints/catalogue.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { applicationOf, parseEndpointId } from '../protocol/endpoint-id.ts'
import { requireEndpoint } from './endpoint-lookup.ts'
import { SURFACE_PREFIX } from './surface.ts'

export interface RealtimeTarget {
  readonly endpoint: EndpointSchema
  /** `owner/alias`, by which tokens are scoped. */
  readonly application: string
}

/**
 * What clients put behind an endpoint id: `/realtime`, `/ws` (the oldest clients), or an explicit path of their own
 * choice of these. Python appends `/realtime` to an id that ends in it already.
 */
const SOCKET_PATH = /^(.*?)(?:\/realtime|\/ws)*\/?$/

/**
 * The endpoint that a socket's path means.
 * @throws WireError 404 for any other path
 */
export function requireRealtimeTarget(catalogue: Catalogue, path: string): RealtimeTarget {
  const prefix = `${SURFACE_PREFIX.run}/`
  const id = path.startsWith(prefix) ? (SOCKET_PATH.exec(path.slice(prefix.length))?.[1] ?? '') : ''
  const parsed = parseEndpointId(id)
  if (parsed === undefined) throw new WireError(404, 'Not Found')
  const endpoint = requireEndpoint(catalogue, id)
  if (!endpoint.realtime) throw new WireError(404, 'Path /realtime not found')
  return { endpoint, application: applicationOf(parsed) }
}
