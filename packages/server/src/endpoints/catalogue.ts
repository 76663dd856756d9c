import { applicationOf, formatEndpointId, parseEndpointId } from '../protocol/endpoint-id.ts'
import type { EndpointSchema } from './endpoint.ts'

/** Where an id leads: an endpoint, a path that its application does not have, or nowhere. */
export type Lookup =
  | { readonly kind: 'found'; readonly endpoint: EndpointSchema }
  | { readonly kind: 'unknown-path'; readonly application: string; readonly path: string }
  | { readonly kind: 'unknown-application'; readonly application: string }

/** The endpoints of this server by id, alias and legacy id. */
export interface Catalogue {
  readonly endpoints: readonly EndpointSchema[]
  /** Looks an id up as it stands in a URL: slashes at its ends and the legacy form `110602490-…` are understood. */
  find(id: string): Lookup
}

export function createCatalogue(endpoints: readonly EndpointSchema[]): Catalogue {
  const byId = new Map<string, EndpointSchema>()
  const applications = new Set<string>()
  for (const endpoint of endpoints) {
    for (const id of [endpoint.id, ...endpoint.aliases]) {
      const parsed = parseEndpointId(id)
      if (parsed === undefined) throw new Error(`endpoint id: expected owner/alias, found ${id}`)
      byId.set(formatEndpointId(parsed), endpoint)
      applications.add(applicationOf(parsed))
    }
  }
  return {
    endpoints,
    find(id) {
      const parsed = parseEndpointId(id)
      if (parsed === undefined) return { kind: 'unknown-application', application: id }
      const endpoint = byId.get(formatEndpointId(parsed))
      if (endpoint !== undefined) return { kind: 'found', endpoint }
      const application = applicationOf(parsed)
      if (!applications.has(application)) return { kind: 'unknown-application', application }
      return { kind: 'unknown-path', application, path: `/${parsed.path ?? ''}` }
    },
  }
}
