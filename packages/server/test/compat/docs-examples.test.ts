import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeImage } from '@darkroom/engine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endpointPagePath } from '../../../../playground/src/docs/endpoint-page-path.ts'
import { codeBlocks, readPage } from '../../../../scripts/docs/markdown.ts'
import { type RunnableEndpoint, runnable } from '../../src/endpoints/endpoint.ts'
import { ENDPOINT_SCHEMAS } from '../../src/processes/endpoints.ts'
import { runCommand } from '../fakes/run-command.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

// Runs the examples of the endpoints' pages, of the guide from fal and of the README as they stand, but for the server's address. The
// endpoints have their real schemas, and answer without drawing.

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))
const PYTHON = process.env.DARKROOM_TEST_PYTHON ?? ['/usr/bin/python3'].find((path) => existsSync(path))
const hasCurl = ['bash', 'curl', 'base64'].every((command) => spawnSync(command, ['--version']).status === 0)

/** Says what it was asked, so that a test sees that files of the reader's arrived. */
const echoing: readonly RunnableEndpoint[] = ENDPOINT_SCHEMAS.map((schema) =>
  runnable(schema, async (input, context) => {
    const fields = Object.entries(input).filter(([name, value]) => name.endsWith('_url') && typeof value === 'string')
    const sizes: number[] = []
    for (const [name, value] of fields) sizes.push((await context.readFile(String(value), [name], 'any')).byteLength)
    const picture = { url: 'http://127.0.0.1/x.jpg', width: 1, height: 1, content_type: 'image/jpeg' }
    const output = { images: [picture], image: picture, seed: 1n, files: sizes.length, smallest: Math.min(1, ...sizes) }
    return (async function* () {
      yield* []
      return output
    })()
  }),
)

let server: WholeServer
let folder: string

beforeAll(async () => {
  server = await startWholeServer({ endpoints: echoing, auth: 'none' })
  folder = await mkdtemp(join(tmpdir(), 'darkroom-examples-'))
  const picture = { width: 300, height: 200, data: new Uint8Array(300 * 200 * 3).map((_, i) => (i * 7919) % 256) }
  const file = await encodeImage(picture, 'png')
  for (const name of ['picture.jpg', 'mask.png', 'face.png']) await writeFile(join(folder, name), file)
  await writeFile(join(folder, 'people.zip'), 'any bytes')
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

const here = (text: string) => text.replaceAll('127.0.0.1:3010', `127.0.0.1:${server.port}`)

/** Programs are started where the packages are found, and find the reader's files in the tests' folder. */
async function run(language: string, code: string): Promise<string> {
  const text = here(code)
  if (language === 'sh') return runCommand('bash', ['-c', text], { cwd: folder, environment: {} })
  if (language === 'python') return runCommand(PYTHON ?? '', ['-c', text], { cwd: folder, environment: {} })
  const moved = text.replace(/readFile\('([\w.]+)'\)/g, (_, name) => `readFile('${join(folder, name)}')`)
  const typescript = text.includes('@darkroom/') ? ['--import', 'tsx'] : []
  return runCommand(process.execPath, [...typescript, '--input-type=module', '--eval', moved], {
    cwd: PACKAGE,
    environment: {},
  })
}

describe('the examples of the endpoints’ pages', { timeout: 60_000 }, () => {
  const examples = ENDPOINT_SCHEMAS.flatMap(({ id }) => {
    const blocks = codeBlocks(readPage(`docs/${endpointPagePath(id)}.md`))
    return blocks.map(({ language, code }) => ({ id, language, code }))
  })

  test('are there in three languages each', () => {
    const languages = ENDPOINT_SCHEMAS.map(({ id }) =>
      examples.filter((example) => example.id === id).map(({ language }) => language),
    )
    expect(new Set(languages.map(String))).toEqual(new Set(['js,python,sh']))
  })

  const runs = examples.filter(
    ({ language }) => (language !== 'sh' || hasCurl) && (language !== 'python' || PYTHON !== undefined),
  )
  test.each(runs)('$id in $language', async ({ language, code }) => {
    const output = await run(language, code)
    expect(output).toMatch(/['"]?files['"]?: ?\d/)
    const wanted = [...new Set([...code.matchAll(/_url"?: .*?(\w+\.(?:jpg|png|zip))/g)])].length
    expect(output).toMatch(new RegExp(`['"]?files['"]?: ?${wanted},`))
  })
})

describe('the blocks of the guide from fal and of the README', { timeout: 60_000 }, () => {
  test('the one line that an app needs', async () => {
    const [block] = codeBlocks(readPage('docs/guide/from-fal.md')).filter(({ language }) => language === 'js')
    expect((await run('js', block?.code ?? '')).trim()).toBe('1 true')
  })

  const blocks = codeBlocks(readPage('README.md')).filter(({ language }) => language === 'ts')
  test('of which the README has two', () => expect(blocks).toHaveLength(2))
  test.each(blocks)('$code', async ({ code }) => {
    await run('js', code)
  })

  test.skipIf(!hasCurl)('curl', async () => {
    const [block] = codeBlocks(readPage('README.md')).filter(({ code }) => code.startsWith('curl '))
    expect(JSON.parse(await run('sh', block?.code ?? '')).images).toHaveLength(1)
  })
})
