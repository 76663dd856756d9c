import type { Input } from './starting-input.ts'

export interface CodeRequest {
  /** Base URL of the server, without a trailing slash. */
  readonly base: string
  readonly endpointId: string
  readonly input: Input
  readonly needsKey: boolean
}

export const LANGUAGES = ['JavaScript', 'Python', 'curl'] as const
export type Language = (typeof LANGUAGES)[number]

/** The request as a program that runs as it stands. */
export function requestCode(language: Language, request: CodeRequest): string {
  switch (language) {
    case 'JavaScript':
      return javascript(request)
    case 'Python':
      return request.base.startsWith('https:') ? falClient(request) : pythonUrllib(request)
    case 'curl':
      return curl(request)
  }
}

function javascript({ base, endpointId, input, needsKey }: CodeRequest): string {
  const key = needsKey ? '// The key is read from the environment: FAL_KEY\n' : ''
  return `import { fal } from '@fal-ai/client'

${key}fal.config({ proxyUrl: { url: '${base}/api/fal/proxy', when: 'always' } })

const { data } = await fal.subscribe('${endpointId}', {
  input: ${indent(javascriptLiteral(input), '  ')},
})
console.log(data)
`
}

/** JSON whose keys are bare where they are names. Strings hold no line breaks in JSON, so a line begins with a key or with no name. */
function javascriptLiteral(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/^(\s*)"([A-Za-z_]\w*)":/gm, '$1$2:')
}

/** fal's Python client speaks HTTPS only. */
function falClient({ base, endpointId, input }: CodeRequest): string {
  const at = base.replace(/^https:\/\//, '')
  return `import os

os.environ["FAL_RUN_HOST"] = "${at}/run"
os.environ["FAL_QUEUE_RUN_HOST"] = "${at}/queue"
os.environ.setdefault("FAL_KEY", "any:key")

import fal_client

output = fal_client.subscribe(
    "${endpointId}",
    arguments=${indent(pythonLiteral(input), '    ')},
)
print(output)
`
}

function pythonUrllib({ base, endpointId, input, needsKey }: CodeRequest): string {
  const key = needsKey ? '\n        "Authorization": "Key " + os.environ["FAL_KEY"],' : ''
  return `import json${needsKey ? '\nimport os' : ''}
import urllib.request

request = urllib.request.Request(
    "${base}/run/${endpointId}",
    data=json.dumps(${indent(pythonLiteral(input), '    ')}).encode(),
    headers={
        "Content-Type": "application/json",${key}
    },
)
with urllib.request.urlopen(request) as response:
    print(json.load(response))
`
}

function curl({ base, endpointId, input, needsKey }: CodeRequest): string {
  const key = needsKey ? ' \\\n  -H "authorization: Key $FAL_KEY"' : ''
  const body = JSON.stringify(input, null, 2).replaceAll("'", "'\\''")
  return `curl -s '${base}/run/${endpointId}' \\
  -H 'content-type: application/json'${key} \\
  -d '${body}'
`
}

/** JSON with Python's words for true, false and null; JSON's strings are Python's too. */
export function pythonLiteral(value: unknown, depth = 0): string {
  const pad = '    '.repeat(depth + 1)
  const end = '    '.repeat(depth)
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[\n${value.map((item) => `${pad}${pythonLiteral(item, depth + 1)},\n`).join('')}${end}]`
  }
  if (typeof value !== 'object') return JSON.stringify(value)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  if (entries.length === 0) return '{}'
  const lines = entries.map(([key, item]) => `${pad}${JSON.stringify(key)}: ${pythonLiteral(item, depth + 1)},\n`)
  return `{\n${lines.join('')}${end}}`
}

function indent(text: string, pad: string): string {
  return text.replaceAll('\n', `\n${pad}`)
}
