import { z } from 'zod'
import type { EndpointSchema } from '../endpoints/endpoint.ts'

/** A node of a JSON Schema or OpenAPI document. */
export type JsonObject = { [key: string]: unknown }

export interface OpenApiUrls {
  /** Base of the queue surface: the document's server. */
  readonly queue: string
  /** Base of the server itself, of the playground's and the document's own pages. */
  readonly base: string
}

/** The OpenAPI document of one endpoint, in the shape of those that fal publishes for its queue. */
export function openApiDocument(endpoint: EndpointSchema, urls: OpenApiUrls): JsonObject {
  const name = modelName(endpoint.id)
  const components: JsonObject = { QueueStatus: queueStatusSchema() }
  addComponent(components, `${name}Input`, endpoint.input, 'input')
  addComponent(components, `${name}Output`, endpoint.output, 'output')
  return {
    openapi: '3.0.4',
    info: {
      title: `Queue OpenAPI for ${endpoint.id}`,
      version: '1.0.0',
      description: `The OpenAPI schema for the ${endpoint.id} queue.`,
      'x-fal-metadata': {
        endpointId: endpoint.id,
        category: endpoint.category,
        playgroundUrl: `${urls.base}/models/${endpoint.id}`,
        documentationUrl: `${urls.base}/models/${endpoint.id}/api`,
      },
    },
    components: {
      securitySchemes: {
        apiKeyAuth: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'Fal Key' },
      },
      schemas: components,
    },
    paths: queuePaths(endpoint.id, name),
    servers: [{ url: urls.queue }],
    security: [{ apiKeyAuth: [] }],
  }
}

/**
 * What the components `…Input` and `…Output` of an endpoint's document begin with: `FastLcmDiffusionImageToImage` of
 * `fal-ai/fast-lcm-diffusion/image-to-image`, the owner left out, as fal does.
 */
export function modelName(endpointId: string): string {
  return endpointId
    .split('/')
    .slice(1)
    .join('-')
    .split(/[^a-zA-Z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

/** Puts a model and all models it refers to among the components. */
function addComponent(components: JsonObject, name: string, schema: z.ZodObject, io: 'input' | 'output'): void {
  const { $defs, ...root } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => publish(zodSchema as z.core.$ZodTypes, jsonSchema as JsonObject),
  })
  delete root.$schema
  for (const [id, definition] of Object.entries($defs ?? {})) components[id] = withComponentRefs(definition)
  components[name] = withComponentRefs({ ...root, title: name })
}

/** Adjusts one node: what zod cannot say, what must stay unpublished, and pydantic's habits. */
function publish(schema: z.core.$ZodTypes, json: JsonObject): void {
  const { def } = schema._zod
  if (def.type === 'bigint') Object.assign(json, { type: 'integer', [BOUNDS_AS_TEXT]: bigintBounds(def.checks) })
  if (def.type === 'number' && json.type === 'integer') dropSafeIntegerBounds(json)
  if (def.type === 'object') publishObject(def.shape, json)
  delete json.id
  delete json.requiredUnless
  delete json.ignored
  delete json.fetched
}

/** zod's own serialisation cannot carry a bigint, so the bounds of one travel as text until the tree is finished. */
const BOUNDS_AS_TEXT = 'boundsAsText'

function bigintBounds(checks: readonly z.core.$ZodCheck[] | undefined): Record<string, string> {
  const bounds: Record<string, string> = {}
  for (const check of checks ?? []) {
    const def = (check as z.core.$ZodChecks)._zod.def
    if (def.check === 'greater_than') bounds.minimum = String(def.value)
    if (def.check === 'less_than') bounds.maximum = String(def.value)
  }
  return bounds
}

/** zod gives every integer the bounds of a double; they are not the field's. */
function dropSafeIntegerBounds(json: JsonObject): void {
  if (json.maximum === Number.MAX_SAFE_INTEGER) delete json.maximum
  if (json.minimum === Number.MIN_SAFE_INTEGER) delete json.minimum
}

function publishObject(shape: Readonly<Record<string, z.core.$ZodType>>, json: JsonObject): void {
  // An object that was given a description of its own refers to the one it was made of, which holds the properties.
  if (json.properties === undefined) return
  const properties = json.properties as Record<string, JsonObject>
  const hidden = Object.keys(shape).filter((name) => metaOf(shape[name])?.hidden === true)
  for (const name of hidden) delete properties[name]
  const order = Object.keys(properties)
  const required = new Set(Array.isArray(json.required) ? json.required : [])
  for (const name of order) {
    if (metaOf(shape[name])?.requiredUnless !== undefined) required.add(name)
  }
  const requiredInOrder = order.filter((name) => required.has(name))
  if (requiredInOrder.length > 0) json.required = requiredInOrder
  else delete json.required
  delete json.additionalProperties
  json['x-fal-order-properties'] = order
}

function metaOf(schema: z.core.$ZodType | undefined): z.GlobalMeta | undefined {
  return schema === undefined ? undefined : z.globalRegistry.get(schema)
}

/** The finished tree with references into the components and optional fields as pydantic 1 has them. */
function withComponentRefs(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withComponentRefs)
  if (typeof node !== 'object' || node === null) return node
  const entries = Object.entries(withoutNull(node as JsonObject)).flatMap(([key, value]) => {
    if (key === BOUNDS_AS_TEXT) return Object.entries(value as object).map(([name, text]) => [name, BigInt(text)])
    if (key === '$ref' && typeof value === 'string') return [[key, value.replace('#/$defs/', '#/components/schemas/')]]
    return [[key, withComponentRefs(value)]]
  })
  return Object.fromEntries(entries)
}

/** pydantic 1 publishes an optional field by its type alone, without the null that it also accepts. */
function withoutNull(node: JsonObject): JsonObject {
  if (Array.isArray(node.type)) {
    const types: readonly string[] = node.type
    const [only, ...further] = types.filter((type) => type !== 'null')
    return further.length === 0 ? { ...node, type: only } : node
  }
  if (!Array.isArray(node.anyOf)) return node
  const branches: readonly JsonObject[] = node.anyOf
  const others = branches.filter((branch) => branch.type !== 'null')
  if (others.length === branches.length) return node
  const { anyOf: _, ...rest } = node
  return others.length === 1 ? { ...others[0], ...rest } : { ...rest, anyOf: others }
}

function queueStatusSchema(): JsonObject {
  const text = (description: string) => ({ type: 'string', description })
  return {
    type: 'object',
    properties: {
      status: { type: 'string', enum: ['IN_QUEUE', 'IN_PROGRESS', 'COMPLETED'] },
      request_id: text('The request id.'),
      response_url: text('The response url.'),
      status_url: text('The status url.'),
      cancel_url: text('The cancel url.'),
      logs: { type: 'array', items: { type: 'object', additionalProperties: true }, description: 'The logs.' },
      metrics: { type: 'object', description: 'The metrics.', additionalProperties: true },
      queue_position: { type: 'integer', description: 'The queue position.' },
    },
    required: ['status', 'request_id'],
  }
}

function queuePaths(id: string, name: string): JsonObject {
  const requestId = {
    name: 'request_id',
    in: 'path',
    required: true,
    schema: { type: 'string', description: 'Request ID' },
  }
  const logs = {
    name: 'logs',
    in: 'query',
    required: false,
    schema: { type: 'number', description: 'Whether to include logs (`1`) in the response or not (`0`).' },
  }
  const json = (schema: JsonObject) => ({ content: { 'application/json': { schema } } })
  const ref = (component: string) => ({ $ref: `#/components/schemas/${component}` })
  const answer = (description: string, schema: JsonObject) => ({ '200': { description, ...json(schema) } })
  const success = { type: 'object', properties: { success: { type: 'boolean' } } }
  return {
    [`/${id}/requests/{request_id}/status`]: {
      get: { parameters: [requestId, logs], responses: answer('The request status.', ref('QueueStatus')) },
    },
    [`/${id}/requests/{request_id}/cancel`]: {
      put: { parameters: [requestId], responses: answer('The request was cancelled.', success) },
    },
    [`/${id}`]: {
      post: {
        parameters: [],
        requestBody: { required: true, ...json(ref(`${name}Input`)) },
        responses: answer('The request status.', ref('QueueStatus')),
      },
    },
    [`/${id}/requests/{request_id}`]: {
      get: { parameters: [requestId], responses: answer('Result of the request.', ref(`${name}Output`)) },
    },
  }
}
