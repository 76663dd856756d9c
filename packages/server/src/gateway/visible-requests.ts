import { applicationOf, parseEndpointId } from '../protocol/endpoint-id.ts'
import type { RequestStatus } from '../queue/request-queue.ts'
import { accountOf } from './authentication.ts'
import type { GatewayContext, GatewayDependencies } from './dependencies.ts'

/**
 * A request as the caller may know of it: one of its account and, where a browser's token opened the route, of an application that
 * the token is for.
 * @param kinds what was queued, and also, as listings have it, what was answered at once
 * @returns `undefined` for one that there is not, as for one that is not the caller's: its id must not be found by trying
 */
export async function visibleRequest(
  { queue, catalogue, tokens }: Pick<GatewayDependencies, 'queue' | 'catalogue' | 'tokens'>,
  c: GatewayContext,
  requestId: string,
  kinds: 'queued' | 'all' = 'queued',
): Promise<RequestStatus | undefined> {
  const request = await (kinds === 'all' ? queue.find(requestId) : queue.status(requestId))
  if (request === undefined || request.account !== accountOf(c)) return undefined
  const { token } = c.var
  if (token === undefined) return request
  const lookup = catalogue.find(request.endpointId)
  const ids = lookup.kind === 'found' ? [lookup.endpoint.id, ...lookup.endpoint.aliases] : [request.endpointId]
  for (const id of ids) {
    const parsed = parseEndpointId(id)
    if (parsed !== undefined && (await tokens.verify(token, applicationOf(parsed))) !== undefined) return request
  }
  return undefined
}
