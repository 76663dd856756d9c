import type { Catalogue } from '../endpoints/catalogue.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { BILLABLE_UNITS } from '../protocol/headers.ts'

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
      throw new WireError(404, `Application "${aliasOf(lookup.application)}" not found`)
    case 'unknown-path':
      throw new WireError(404, `Path ${lookup.path} not found`, { headers: { [BILLABLE_UNITS]: '0' } })
  }
}

function aliasOf(application: string): string {
  return application.slice(application.lastIndexOf('/') + 1)
}
