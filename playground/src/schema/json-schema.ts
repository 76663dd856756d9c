/** A node of the JSON Schema that an OpenAPI 3 document carries; only what forms need of it. */
export interface JsonSchema {
  readonly $ref?: string
  /** One type; `resolve` takes the null out of a list that only says that the field is optional. */
  readonly type?: string | readonly string[]
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly additionalProperties?: unknown
  readonly ui?: { readonly field?: string; readonly important?: boolean }
  readonly 'x-fal-order-properties'?: readonly string[]
}

/** The part of an endpoint's OpenAPI document that the pages read. */
export interface OpenApiDocument {
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
}

interface JsonContent {
  readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>>
}

interface OpenApiOperation {
  readonly requestBody?: JsonContent
  readonly responses?: Readonly<Record<string, JsonContent>>
}

const REFERENCE = /^#\/components\/schemas\/(.+)$/

/** Looks up what a node refers to; what stands beside the reference (description, default) wins over the target's. */
export function resolve(node: JsonSchema, document: OpenApiDocument): JsonSchema {
  const only = node.allOf?.length === 1 ? node.allOf[0] : undefined
  if (only !== undefined) {
    const { allOf: _, ...rest } = node
    return { ...resolve(only, document), ...rest }
  }
  const name = node.$ref === undefined ? undefined : REFERENCE.exec(node.$ref)?.[1]
  const target = name === undefined ? undefined : document.components.schemas[name]
  if (target === undefined) return withoutNull(node)
  const { $ref: _, ...rest } = node
  return { ...resolve(target, document), ...rest }
}

function withoutNull(node: JsonSchema): JsonSchema {
  if (!Array.isArray(node.type)) return node
  const types: readonly string[] = node.type
  const [only, ...further] = types.filter((type) => type !== 'null')
  return only === undefined || further.length > 0 ? node : { ...node, type: only }
}

/** The schema of the endpoint's input, as the document's submit operation has it. */
export function inputSchemaOf(document: OpenApiDocument, endpointId: string): JsonSchema {
  const schema = document.paths[`/${endpointId}`]?.post?.requestBody?.content?.['application/json']?.schema
  return schema === undefined ? {} : resolve(schema, document)
}

/** The schema of what the endpoint answers, as the document's result operation has it. */
export function outputSchemaOf(document: OpenApiDocument, endpointId: string): JsonSchema {
  const result = document.paths[`/${endpointId}/requests/{request_id}`]?.get?.responses?.['200']
  const schema = result?.content?.['application/json']?.schema
  return schema === undefined ? {} : resolve(schema, document)
}

/** A property of an object, in the order in which fal shows them. */
export interface Property {
  readonly name: string
  readonly schema: JsonSchema
  readonly required: boolean
}

export function propertiesOf(schema: JsonSchema, document: OpenApiDocument): readonly Property[] {
  const { properties = {}, required = [] } = schema
  const order = schema['x-fal-order-properties'] ?? []
  const names = [...order, ...Object.keys(properties).filter((name) => !order.includes(name))]
  return names.flatMap((name) => {
    const node = properties[name]
    return node === undefined ? [] : [{ name, schema: resolve(node, document), required: required.includes(name) }]
  })
}

/** How a value is entered. */
export type FieldKind =
  | 'image'
  | 'mask'
  | 'choice'
  | 'boolean'
  | 'integer'
  | 'number'
  | 'text'
  | 'object'
  | 'list'
  | 'union'
  | 'json'

/** @param name the field's name: fal marks picture fields with `ui`, and names them so where it does not */
export function kindOf(schema: JsonSchema, name: string): FieldKind {
  if (schema.enum !== undefined || schema.const !== undefined) return 'choice'
  if (schema.type === 'string' || (schema.type === undefined && schema.ui?.field === 'image')) {
    const isPicture = schema.ui?.field === 'image' || /(^|_)(image|mask)_url$/.test(name)
    if (isPicture) return /mask/.test(name) ? 'mask' : 'image'
    return 'text'
  }
  if (schema.type === 'boolean' || schema.type === 'integer' || schema.type === 'number') return schema.type
  if (schema.type === 'array') return 'list'
  if (schema.type === 'object' && schema.properties !== undefined) return 'object'
  if (branchesOf(schema).length > 0) return 'union'
  return 'json'
}

/** The alternatives of a union, without the null that only says that the field is optional. */
export function branchesOf(schema: JsonSchema): readonly JsonSchema[] {
  return (schema.anyOf ?? schema.oneOf ?? []).filter((branch) => branch.type !== 'null')
}

/** What a branch of a union is called in the form. */
export function branchName(schema: JsonSchema, name: string): string {
  const kind = kindOf(schema, name)
  if (kind === 'choice') return 'Preset'
  if (kind === 'object') return 'Custom'
  return schema.title ?? kind.charAt(0).toUpperCase() + kind.slice(1)
}

/** The branch that a value belongs to: the first that admits its JSON type. */
export function branchOf(value: unknown, branches: readonly JsonSchema[]): number {
  const index = branches.findIndex((branch) => admits(branch, value))
  return Math.max(0, index)
}

function admits(schema: JsonSchema, value: unknown): boolean {
  if (schema.enum !== undefined) return schema.enum.includes(value)
  if (schema.const !== undefined) return schema.const === value
  if (Array.isArray(value)) return schema.type === 'array'
  if (value !== null && typeof value === 'object') return schema.type === 'object' || schema.properties !== undefined
  if (typeof value === 'number') return schema.type === 'number' || schema.type === 'integer'
  return schema.type === typeof value
}

/** A value to begin with, where a person adds an element or switches a union: the default, else what is required. */
export function startValue(schema: JsonSchema, document: OpenApiDocument): unknown {
  if (schema.default !== undefined && schema.default !== null) return schema.default
  if (schema.enum !== undefined) return schema.enum[0]
  if (schema.const !== undefined) return schema.const
  const [first] = branchesOf(schema)
  if (first !== undefined) return startValue(resolve(first, document), document)
  switch (schema.type) {
    case 'string':
      return ''
    case 'integer':
    case 'number':
      return schema.minimum ?? 0
    case 'boolean':
      return false
    case 'array':
      return []
    case 'object':
      return startObject(schema, document)
    default:
      return ''
  }
}

function startObject(schema: JsonSchema, document: OpenApiDocument): Record<string, unknown> {
  const entries = propertiesOf(schema, document)
    .filter(({ required, schema: { default: standard } }) => required || standard !== undefined)
    .map(({ name, schema: property }) => [name, startValue(property, document)])
  return Object.fromEntries(entries)
}

/** `minimum` and `maximum` as they are, and what is excluded made included where the field counts in whole numbers. */
export function boundsOf(schema: JsonSchema): { readonly minimum?: number; readonly maximum?: number } {
  const whole = schema.type === 'integer' ? 1 : 0
  const minimum =
    schema.minimum ?? (schema.exclusiveMinimum === undefined ? undefined : schema.exclusiveMinimum + whole)
  const maximum =
    schema.maximum ?? (schema.exclusiveMaximum === undefined ? undefined : schema.exclusiveMaximum - whole)
  return { ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }) }
}
