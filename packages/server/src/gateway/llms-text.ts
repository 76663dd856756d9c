import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { stringifyJson } from '../protocol/json-text.ts'
import { modelName, openApiDocument } from './openapi-document.ts'
import type { PublicUrls } from './public-urls.ts'

/** What is read of a node of an OpenAPI document. */
interface SchemaNode {
  readonly $ref?: string
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly enum?: readonly unknown[]
  readonly minimum?: number | bigint
  readonly maximum?: number | bigint
  readonly exclusiveMinimum?: number | bigint
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
}

type Components = Readonly<Record<string, SchemaNode>>

/** An endpoint as Markdown for language models, under the headings of those that fal publishes as `llms.txt`. */
export function llmsText(endpoint: EndpointSchema, urls: Pick<PublicUrls, 'run' | 'queue' | 'base'>): string {
  const { schemas } = openApiDocument(endpoint, urls).components as { readonly schemas: Components }
  const [input = {}, output = {}] = ['Input', 'Output'].map((end) => schemas[modelName(endpoint.id) + end])
  const parts = [
    `# ${endpoint.title}`,
    `> ${endpoint.description}`,
    overview(endpoint, urls),
    '## API Information',
    '### Input Schema',
    ...fields(input),
    example('Required Parameters Example', exampleOf(input, 'required')),
    example('Full Example', exampleOf(input, 'all')),
    '### Output Schema',
    ...fields(output),
    ...namedObjects([input, output], schemas),
    '## Usage Examples',
    ...usage(endpoint.id, exampleOf(input, 'required'), urls),
    '## Additional Resources',
    resources(endpoint.id, urls.base),
  ]
  return `${parts.join('\n\n')}\n`
}

function overview(
  { id, category, tags = [], realtime }: EndpointSchema,
  { run, queue }: { run: string; queue: string },
) {
  const lines = [
    '## Overview',
    '',
    `- **Endpoint**: \`${run}/${id}\``,
    `- **Queue**: \`${queue}/${id}\``,
    `- **Model ID**: \`${id}\``,
    `- **Category**: ${category}`,
    '- **Kind**: inference',
    `- **Surfaces**: sync run, queue, stream${realtime ? ', realtime' : ''}`,
  ]
  return [...lines, ...(tags.length === 0 ? [] : [`- **Tags**: ${tags.join(', ')}`])].join('\n')
}

function fields({ properties = {}, required = [] }: SchemaNode): string[] {
  return Object.entries(properties).map(([name, node]) => {
    const need = required.includes(name) ? 'required' : 'optional'
    return [
      `- **\`${name}\`** (\`${typeOf(node)}\`, _${need}_)${node.description === undefined ? '' : `:\n  ${node.description}`}`,
      ...facts(node).map((fact) => `  - ${fact}`),
    ].join('\n')
  })
}

function facts(node: SchemaNode): string[] {
  const options = [node, ...(node.anyOf ?? [])].flatMap((each) => each.enum ?? [])
  const { minimum, maximum, exclusiveMinimum: above } = node
  const least = minimum === undefined ? undefined : `from \`${minimum}\``
  const bounds = [least ?? (above === undefined ? undefined : `above \`${above}\``)]
  if (maximum !== undefined) bounds.push(`to \`${maximum}\``)
  const range = bounds.filter((bound) => bound !== undefined).join(' ')
  return [
    ...(node.default === undefined ? [] : [`Default: \`${stringifyJson(node.default)}\``]),
    ...(range === '' ? [] : [`Range: ${range}`]),
    ...(options.length === 0 ? [] : [`Options: ${options.map((option) => `\`${stringifyJson(option)}\``).join(', ')}`]),
    ...(node.examples === undefined ? [] : [`Examples: ${node.examples.map(stringifyJson).join(', ')}`]),
  ]
}

function typeOf(node: SchemaNode): string {
  if (node.$ref !== undefined) return componentOf(node.$ref)
  if (node.anyOf !== undefined) return node.anyOf.map(typeOf).join(' | ')
  if (node.enum !== undefined) return 'Enum'
  if (node.items !== undefined) return `list<${typeOf(node.items)}>`
  return node.type === 'number' ? 'float' : (node.type ?? 'any')
}

function componentOf(ref: string): string {
  return ref.slice(ref.lastIndexOf('/') + 1)
}

/** The objects that fields refer to, and those that these refer to. */
function namedObjects(models: readonly SchemaNode[], schemas: Components): string[] {
  const names = new Set<string>()
  const visit = (node: SchemaNode): void => {
    const name = node.$ref === undefined ? undefined : componentOf(node.$ref)
    const target = name === undefined ? undefined : schemas[name]
    if (name !== undefined && target !== undefined && !names.has(name)) {
      names.add(name)
      visit(target)
    }
    const inner = [node.items, ...(node.anyOf ?? []), ...Object.values(node.properties ?? {})]
    for (const each of inner) if (each !== undefined) visit(each)
  }
  for (const model of models) visit(model)
  return [...names].flatMap((name) => [`### \`${name}\``, ...fields(schemas[name] ?? {})])
}

type Example = Readonly<Record<string, unknown>>

/** Values for the fields that must be given, or for all that have an example or a default. */
function exampleOf({ properties = {}, required = [] }: SchemaNode, which: 'required' | 'all'): Example {
  const wanted = Object.entries(properties).filter(([name]) => which === 'all' || required.includes(name))
  return Object.fromEntries(
    wanted
      .map(([name, { default: standard, examples }]) => [
        name,
        examples?.[0] ?? standard ?? (required.includes(name) ? placeholder(name) : undefined),
      ])
      .filter(([, value]) => value !== undefined && value !== null),
  )
}

/** An address in place of the reader's own; no other field that must be given lacks an example. */
function placeholder(fieldName: string): string {
  return `https://example.com/${fieldName.replace(/_url$/, '')}`
}

function example(title: string, value: Example): string {
  return `**${title}**:\n\n\`\`\`json\n${stringifyJson(value)}\n\`\`\``
}

function usage(id: string, input: Example, { run, base }: { run: string; base: string }): string[] {
  const body = stringifyJson(input)
  return [
    'The key is needed only where the server asks for one.',
    `### cURL

\`\`\`bash
curl ${run}/${id} \\
  --header "Authorization: Key $FAL_KEY" \\
  --header "Content-Type: application/json" \\
  --data '${body.replaceAll("'", "'\\''")}'
\`\`\``,
    `### JavaScript

\`\`\`bash
npm install --save @fal-ai/client
\`\`\`

\`\`\`javascript
import { fal } from "@fal-ai/client";

fal.config({ proxyUrl: { url: "${base}/api/fal/proxy", when: "always" } });

const result = await fal.subscribe("${id}", { input: ${body} });
console.log(result.data);
\`\`\``,
    `### Python and other clients

Each takes a line: ${base}/docs/guide/clients`,
  ]
}

function resources(id: string, base: string): string {
  return [
    `- [Playground](${base}/models/${id})`,
    `- [The request as code](${base}/models/${id}/api)`,
    `- [OpenAPI Schema](${base}/api/openapi/queue/openapi.json?endpoint_id=${id})`,
    `- [Documentation](${base}/docs)`,
  ].join('\n')
}
