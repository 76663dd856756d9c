/**
 * The endpoint id grammar of fal's clients: `owner/alias[/path…]`, with `workflows` and `comfy` as namespaces in front.
 * Submitting uses the full id; every later call on the request uses only the application, `[namespace/]owner/alias`.
 */
export interface EndpointId {
  readonly namespace: Namespace | undefined
  readonly owner: string
  readonly alias: string
  /** The sub-path behind the alias, without slashes at its ends: `lcm` of `fal-ai/instantid/lcm`. */
  readonly path: string | undefined
}

export type Namespace = 'workflows' | 'comfy'

const NAMESPACES: ReadonlySet<string> = new Set<Namespace>(['workflows', 'comfy'])

/** The account number under which fal's own models lived before owners had names; LCM demos still call it. */
const LEGACY_OWNER = '110602490'
const LEGACY_SINGLE_SEGMENT = /^(\d+)-([a-zA-Z0-9][a-zA-Z0-9-]*)$/

function isNamespace(segment: string | undefined): segment is Namespace {
  return segment !== undefined && NAMESPACES.has(segment)
}

/**
 * Reads an endpoint id as it stands in a URL path. Slashes at either end are dropped, the legacy form
 * `110602490-lcm-sd15-i2i` becomes `110602490/lcm-sd15-i2i`, and that owner becomes `fal-ai`.
 * @returns `undefined` when there is no owner and alias in it
 */
export function parseEndpointId(text: string): EndpointId | undefined {
  const segments = splitSegments(text)
  const namespace = isNamespace(segments[0]) ? segments[0] : undefined
  const [owner, alias, ...path] = namespace === undefined ? segments : segments.slice(1)
  if (owner === undefined || alias === undefined) return undefined
  return {
    namespace,
    owner: owner === LEGACY_OWNER ? 'fal-ai' : owner,
    alias,
    path: path.length > 0 ? path.join('/') : undefined,
  }
}

function splitSegments(text: string): string[] {
  const segments = text.split('/').filter((segment) => segment !== '')
  const legacy = LEGACY_SINGLE_SEGMENT.exec(segments[0] ?? '')
  if (legacy === null || legacy[1] === undefined || legacy[2] === undefined) return segments
  // `110602490-x/realtime` is as legal as `110602490-x`: the clients only rewrite ids without a slash, old sockets do not.
  return [legacy[1], legacy[2], ...segments.slice(1)]
}

/** `[namespace/]owner/alias`: what status, result and cancel URLs hold. */
export function applicationOf(id: EndpointId): string {
  const application = `${id.owner}/${id.alias}`
  return id.namespace === undefined ? application : `${id.namespace}/${application}`
}

/** The full id, sub-path included. */
export function formatEndpointId(id: EndpointId): string {
  const application = applicationOf(id)
  return id.path === undefined ? application : `${application}/${id.path}`
}
