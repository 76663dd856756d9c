import { type Language, requestCode } from '../../playground/src/schema/request-code.ts'
import type { Input } from '../../playground/src/schema/starting-input.ts'
import { LOCAL_FILE } from './endpoint-examples.ts'

const BASE = 'http://127.0.0.1:3010'
const FILE = new RegExp(`"${LOCAL_FILE}([\\w.]+)"`, 'g')

const CONTENT_TYPES: Readonly<Record<string, string>> = { jpg: 'image/jpeg', png: 'image/png', zip: 'application/zip' }

/** The playground's code for a request, in which files of the reader's are sent from where they lie. */
export function exampleCode(language: Language, endpointId: string, input: Input): string {
  const code = requestCode(language, { base: BASE, endpointId, input, needsKey: false })
  if (!code.includes(LOCAL_FILE)) return code
  switch (language) {
    case 'JavaScript':
      return `import { readFile } from 'node:fs/promises'\n${code.replace(
        FILE,
        (_, name) => `new Blob([await readFile('${name}')], { type: '${contentTypeOf(name)}' })`,
      )}`
    case 'Python':
      return withDataUris(code)
    case 'curl':
      return withHereDocument(code)
  }
}

function withDataUris(code: string): string {
  const helper = `def data_uri(path, content_type):
    with open(path, "rb") as file:
        return f"data:{content_type};base64,{base64.b64encode(file.read()).decode()}"


`
  return `import base64\n${code}`
    .replace('\nrequest = ', `\n\n${helper}request = `)
    .replace(FILE, (_, name) => `data_uri("${name}", "${contentTypeOf(name)}")`)
}

/** An argument of a command may have 128 KB, which a picture exceeds; standard input may have any size. */
function withHereDocument(code: string): string {
  const body = /-d '([\s\S]*)'\n$/.exec(code)?.[1] ?? ''
  const filled = body.replace(
    FILE,
    (_, name) => `"data:${contentTypeOf(name)};base64,$(base64 < ${name} | tr -d '\\n')"`,
  )
  return `${code.slice(0, code.indexOf("-d '"))}-d @- <<JSON\n${filled}\nJSON\n`
}

function contentTypeOf(name: string): string {
  return CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
}
