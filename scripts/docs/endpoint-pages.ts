/**
 * The pages of `docs/endpoints`, made from the endpoints' schemas, and their list in `docs/README.md`: `tsx scripts/docs/endpoint-pages.ts`
 * writes them, `--check` fails where a page is another. `endpoint-pictures.ts` draws their pictures.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EndpointSchema } from '../../packages/server/src/endpoints/endpoint.ts'
import { openApiDocument } from '../../packages/server/src/gateway/openapi-document.ts'
import { ENDPOINT_SCHEMAS } from '../../packages/server/src/processes/endpoints.ts'
import { stringifyJson } from '../../packages/server/src/protocol/json-text.ts'
import { endpointPagePath } from '../../playground/src/docs/endpoint-page-path.ts'
import { inputSchemaOf, type OpenApiDocument, outputSchemaOf } from '../../playground/src/schema/json-schema.ts'
import { LANGUAGES } from '../../playground/src/schema/request-code.ts'
import { ENDPOINT_EXAMPLES } from './endpoint-examples.ts'
import { exampleCode } from './example-code.ts'
import { FIELD_EXAMPLES, type FieldExample } from './field-examples.ts'
import { fieldTables } from './field-tables.ts'

export const DOCS = fileURLToPath(new URL('../../docs', import.meta.url))
const FENCES = { JavaScript: 'js', Python: 'python', curl: 'sh' } as const
const MARKS = ['<!-- endpoints: made by scripts/docs/endpoint-pages.ts -->', '<!-- end of endpoints -->'] as const

/** `docs/endpoints/lora-inpaint.md` of `fal-ai/lora/inpaint`. */
export const pageFileOf = (endpointId: string): string => `${endpointPagePath(endpointId)}.md`
export const pictureFileOf = (endpointId: string): string => `${endpointPagePath(endpointId)}.jpg`
export const fieldPictureFileOf = ({ name }: FieldExample): string => `endpoints/fields/${name}.jpg`

export function endpointPage(endpoint: EndpointSchema): string {
  const urls = { queue: 'http://127.0.0.1:3010/queue', base: 'http://127.0.0.1:3010' }
  // Through text, as a client reads it: bounds of 64 bits are numbers then.
  const document = JSON.parse(stringifyJson(openApiDocument(endpoint, urls))) as OpenApiDocument
  const example = ENDPOINT_EXAMPLES[endpoint.id]
  if (example === undefined) throw new Error(`scripts/docs/endpoint-examples.ts has no example of ${endpoint.id}`)
  const picture = pictureFileOf(endpoint.id)
  const hasPicture = example.picture !== undefined && existsSync(join(DOCS, picture))
  const also = endpoint.aliases.map((alias) => `\`${alias}\``).join(', ')
  const codes = LANGUAGES.map(
    (language) =>
      `${language}:\n\n\`\`\`${FENCES[language]}\n${exampleCode(language, endpoint.id, example.input)}\`\`\`\n`,
  )
  return `# \`${endpoint.id}\`

<!-- made by scripts/docs/endpoint-pages.ts from the endpoint's schema -->

**${endpoint.title}.** ${endpoint.description}

${hasPicture ? `![${example.picture}](${picture.split('/').at(-1)})\n` : 'No picture: nothing that comes with the program draws this.\n'}
Category \`${endpoint.category}\`. Answers sync runs, the queue and streams${endpoint.realtime ? ', and realtime sockets' : '; no realtime sockets'}.${also === '' ? '' : ` Also called ${also}.`}
OpenAPI document: \`/api/openapi/queue/openapi.json?endpoint_id=${endpoint.id}\` of the server; as text for language models: \`/models/${endpoint.id}/llms.txt\`.

## Example

${filesText(example.input)}${codes.join('\n')}
${fieldsText(endpoint.id)}## Input

${fieldTables(inputSchemaOf(document, endpoint.id), document)}
## Output

${fieldTables(outputSchemaOf(document, endpoint.id), document)}`
}

/** What fields do, by pictures without and with each. */
function fieldsText(endpointId: string): string {
  const examples = FIELD_EXAMPLES[endpointId] ?? []
  if (examples.length === 0) return ''
  const shown = examples.map((example) => {
    const order = example.shown === undefined ? 'without and with it' : 'what it is given, without and with it'
    const title = `\`${example.field}\`: ${example.says}.`
    return `${title}\n\n![${example.field}, ${order}](fields/${example.name}.jpg)\n`
  })
  return `## What fields do\n\nEach row is one request, without a field and with it, drawn by the demo checkpoint from the same seed.\n\n${shown.join('\n')}\n`
}

function filesText(input: unknown): string {
  const text = JSON.stringify(input)
  const files = [
    text.includes('picture.jpg') ? '`picture.jpg` is any picture of yours' : '',
    text.includes('face.png') ? '`face.png` shows a face from the front, a drawn one for the demo checkpoint' : '',
    text.includes('mask.png') ? '`mask.png` is white where the picture is to be drawn anew, black elsewhere' : '',
    text.includes('people.zip') ? '`people.zip` holds pictures of the subject' : '',
  ].filter((sentence) => sentence !== '')
  return files.length === 0 ? '' : `${files.join(', ')}.\n\n`
}

export function withEndpointList(index: string): string {
  const [begin, end] = MARKS.map((mark) => index.indexOf(mark)) as [number, number]
  if (begin < 0 || end < begin) throw new Error(`docs/README.md lacks the marks ${MARKS.join(' and ')}`)
  const list = ENDPOINT_SCHEMAS.map(({ id, title }) => `- [\`${id}\`](${pageFileOf(id)}): ${title}`).join('\n')
  return `${index.slice(0, begin + MARKS[0].length)}\n${list}\n${index.slice(end)}`
}

function wantedFiles(): Map<string, string> {
  const pages = ENDPOINT_SCHEMAS.map((endpoint): [string, string] => [pageFileOf(endpoint.id), endpointPage(endpoint)])
  return new Map([...pages, ['README.md', withEndpointList(readFileSync(join(DOCS, 'README.md'), 'utf8'))]])
}

if (process.argv[1]?.endsWith('endpoint-pages.ts')) {
  const wanted = wantedFiles()
  mkdirSync(join(DOCS, 'endpoints'), { recursive: true })
  const stray = readdirSync(join(DOCS, 'endpoints'))
    .map((name) => `endpoints/${name}`)
    .filter((file) => file.endsWith('.md') && !wanted.has(file))
  const isCurrent = (file: string) =>
    existsSync(join(DOCS, file)) && readFileSync(join(DOCS, file), 'utf8') === wanted.get(file)
  if (process.argv.includes('--check')) {
    const old = [...stray, ...[...wanted.keys()].filter((file) => !isCurrent(file))]
    if (old.length > 0) {
      console.error(`not as the schemas say: docs/${old.join(', docs/')}; run npx tsx scripts/docs/endpoint-pages.ts`)
      process.exit(1)
    }
  } else {
    for (const file of stray) rmSync(join(DOCS, file))
    for (const [file, text] of wanted) writeFileSync(join(DOCS, file), text)
  }
}
