import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAL_HOSTS } from '../../src/gateway/surface.ts'
import { runCommand } from '../fakes/run-command.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

// Runs every block of docs/guide/clients.md as it stands, but for the server's address and the file of its authority.

const GUIDE = readFileSync(new URL('../../../../docs/guide/clients.md', import.meta.url), 'utf8')
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))
const PYTHON = process.env.DARKROOM_TEST_PYTHON
const hasCurl = ['bash', 'curl'].every((command) => spawnSync(command, ['--version']).status === 0)

let plain: WholeServer
let secure: WholeServer

beforeAll(async () => {
  plain = await startWholeServer()
  secure = await startWholeServer({ tls: true })
})

afterAll(async () => {
  await plain.close()
  await secure.close()
})

function blocks(language: string): string[] {
  return [...GUIDE.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter((m) => m[1] === language).map((m) => m[2] ?? '')
}

/** The text with this test's servers in it. */
function here(text: string): string {
  return text
    .replaceAll('127.0.0.1:3010', `127.0.0.1:${plain.port}`)
    .replaceAll('localhost:3010', `localhost:${secure.port}`)
    .replaceAll('~/.darkroom/tls/authority.pem', secure.authorityFile)
}

async function run(command: string, args: string[], environment: Record<string, string>): Promise<string> {
  return (await runCommand(command, args, { cwd: PACKAGE, environment })).trim()
}

/** Name of the first package that a block imports. */
const imported = (code: string) => /from '([^']+)'/.exec(code)?.[1] ?? code.slice(0, 40)

/** What blocks print that count no pictures. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  '@fal-ai/server-proxy/express': /^function$/,
  '@huggingface/inference': /^image\//,
}

describe('the guide to clients', () => {
  const js = blocks('js').map((code) => [imported(code), code] as const)
  test.each(js)('%s', async (name, code) => {
    const typescript = name.startsWith('@darkroom/') ? ['--import', 'tsx'] : []
    const output = await run(process.execPath, [...typescript, '--input-type=module', '--eval', here(code)], {
      FAL_KEY: plain.key,
    })
    expect(output.split('\n').at(-1)).toMatch(PRINTED[name] ?? /^1$/)
  })

  const [exportLine = '', ...calls] = blocks('sh')
  test.skipIf(!hasCurl).each(calls)('%s', async (line) => {
    const key = line.includes('https://') ? secure.key : plain.key
    const output = await run('bash', ['-c', here(line)], { FAL_KEY: key })
    expect(JSON.parse(output).images).toHaveLength(1)
  })

  test.each(['fal-client-1.7', 'fal-client-1.9'])('the older clients’ block with %s', async (client) => {
    const [, code = ''] = js.find(([name]) => name === '@fal-ai/serverless-client') ?? []
    const newer = code
      .replace("import * as fal from '@fal-ai/serverless-client'", `import { fal } from '${client}'`)
      .replace('const { images }', 'const { data: { images } }')
    const output = await run(process.execPath, ['--input-type=module', '--eval', here(newer)], { FAL_KEY: plain.key })
    expect(output.split('\n').at(-1)).toBe('1')
  })

  test.skipIf(PYTHON === undefined).each(blocks('python'))('%s', async (code) => {
    const folder = await mkdtemp(join(tmpdir(), 'darkroom-guide-'))
    const isOther = code.includes('huggingface_hub')
    const script = isOther ? 'exec "$0" -c "$1"' : here(`${exportLine}\nexec "$0" -c "$1"`)
    const inFolder = `cd ${folder}\n${script}`
    const key = isOther ? plain.key : secure.key
    const block = here(code).replace('any:key', key)
    expect(await run('bash', ['-c', inFolder, PYTHON ?? '', block], { FAL_KEY: key })).toBe(
      isOther ? '(512, 512)' : '1',
    )
    await rm(folder, { recursive: true })
  })

  test('has blocks of every language', () => {
    expect([blocks('js').length, blocks('sh').length, blocks('python').length]).toEqual([6, 3, 3])
  })

  test('names fal’s hosts', () => {
    const named = /^127\.0\.0\.1 (.*)$/m.exec(GUIDE)?.[1]?.split(' ') ?? []
    expect(FAL_HOSTS).toEqual(expect.arrayContaining(named))
    expect(named).toEqual(expect.arrayContaining(['fal.run', 'queue.fal.run', 'rest.fal.ai', 'v3.fal.media']))
  })
})
