import {
  type JsonSchema,
  type OpenApiDocument,
  propertiesOf,
  resolve,
} from '../../playground/src/schema/json-schema.ts'

/** The fields of an object as a table, and a table for each object that a field holds. */
export function fieldTables(schema: JsonSchema, document: OpenApiDocument, heading = '###'): string {
  const nested: string[] = []
  const rows = propertiesOf(schema, document).map(({ name, schema: field, required }) => {
    const inner = objectIn(field, document)
    if (inner !== undefined) nested.push(`${heading} \`${name}\`\n\n${fieldTables(inner, document, `${heading}#`)}`)
    const initial = required ? '*required*' : field.default === undefined ? '' : `\`${shortJson(field.default)}\``
    return `| \`${name}\` | ${typeOf(field, document)} | ${initial} | ${cell(field.description ?? '')} |`
  })
  return ['| field | type | default | |\n|---|---|---|---|', ...rows]
    .join('\n')
    .concat('\n', ...nested.map((t) => `\n${t}`))
}

/** The object that a field is, or that its list or one of its alternatives holds. */
function objectIn(field: JsonSchema, document: OpenApiDocument): JsonSchema | undefined {
  const node = resolve(field, document)
  if (node.properties !== undefined) return node
  if (node.items !== undefined) return objectIn(node.items, document)
  for (const branch of [...(node.anyOf ?? []), ...(node.oneOf ?? [])]) {
    const found = objectIn(branch, document)
    if (found !== undefined) return found
  }
  return undefined
}

function typeOf(field: JsonSchema, document: OpenApiDocument): string {
  const node = resolve(field, document)
  const branches = [...(node.anyOf ?? []), ...(node.oneOf ?? [])]
  if (branches.length > 0) return [...new Set(branches.map((branch) => typeOf(branch, document)))].join(' or ')
  if (node.enum !== undefined) return `one of ${node.enum.map((value) => `\`${String(value)}\``).join(', ')}`
  if (node.type === 'array') {
    const most = node.maxItems === undefined ? '' : `, ${node.maxItems} at most`
    const item = typeOf(node.items ?? {}, document).replace(/^object,/, 'objects,')
    return `list of ${item}${most}`
  }
  if (node.properties !== undefined) return 'object, see below'
  if (node.ui?.field === 'image') return 'picture (URL or data URI)'
  return `${String(node.type ?? 'any')}${boundsOf(node)}`
}

function boundsOf({ minimum, maximum, exclusiveMinimum }: JsonSchema): string {
  const least = minimum === undefined ? undefined : String(minimum)
  if (least !== undefined && maximum !== undefined) return `, ${least} to ${maximum >= 2 ** 64 ? '2⁶⁴ − 1' : maximum}`
  if (least !== undefined) return `, ${least} or more`
  const above = exclusiveMinimum === undefined ? undefined : `, above ${exclusiveMinimum}`
  if (maximum === undefined) return above ?? ''
  return `${above ?? ''}, ${maximum} at most`
}

function shortJson(value: unknown): string {
  return cell(JSON.stringify(value))
}

/** A text that stays inside its cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
