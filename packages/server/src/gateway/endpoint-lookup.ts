import type { Catalogue } from '../endpoints/catalogue.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { nearEndpoints } from '../endpoints/near-endpoints.ts'
import { WireError } from '../errors/errors.ts'
import { BILLABLE_UNITS } from '../protocol/headers.ts'
import type { PublicUrls } from './public-urls.ts'

/**
 * The endpoint an id in a URL leads to.
 * @throws WireError 404 in fal's words: of its gateway for an unknown application, of the application for a path
 */
export function requireEndpoint(catalogue: Catalogue, id: string): EndpointSchema {
  const lookup = catalogue.find(id)
  switch (lookup.kind) {
    case 'found':
      return lookup.endpoint
    case 'unknown-application':
      throw new WireError(404, `Application "${aliasOf(lookup.application)}" not found`, {
        hint: hintFor(catalogue, id),
      })
    case 'unknown-path': {
      const headers = { [BILLABLE_UNITS]: '0' }
      throw new WireError(404, `Path ${lookup.path} not found`, { headers, hint: hintFor(catalogue, id) })
    }
  }
}

/**
 * What to call in place of a path that is no route: an endpoint's id without the surface in front of it is a base URL that lacks it.
 * @returns undefined where the path names no endpoint
 */
export function surfaceHint(catalogue: Catalogue, path: string, { run, queue }: PublicUrls): string | undefined {
  const id = path.replace(/(?:\/requests\/[\s\S]*|\/(?:stream|realtime)?\/?)$/, '')
  const lookup = catalogue.find(id)
  if (lookup.kind !== 'found') return undefined
  const { endpoint } = lookup
  return `The base URL lacks the surface: POST ${run}/${endpoint.id} answers at once, ${queue}/${endpoint.id} queues`
}

function hintFor({ endpoints }: Catalogue, id: string): string {
  const near = nearEndpoints(
    id.replace(/^\/+|(?<!\/)\/+$/g, ''),
    endpoints.map((endpoint) => endpoint.id),
  )
  return near.length > 0 ? `Near it: ${near.join(', ')}` : 'GET /v1/models lists the endpoints of this server'
}

function aliasOf(application: string): string {
  return application.slice(application.lastIndexOf('/') + 1)
}
