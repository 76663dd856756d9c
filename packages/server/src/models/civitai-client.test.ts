import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { safetensorsBytes } from '../../test/fakes/sample-weights.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { CivitaiClient } from './civitai-client.ts'
import { UrlDownloads } from './url-downloads.ts'

/** Civitai and the store that its downloads lead to, on two origins as they are. */
let [site, store] = ['', '']
let servers: Server[] = []
let folder = ''
let asked: string[] = []
let answerModel: (response: ServerResponse) => void
const http = new OutboundHttp({ allowPrivateTargets: true })
const weights = safetensorsBytes({ 'lora_unet_mid_block.lora_down.weight': [4] })

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '', 'http://h')
  const isSite = request.headers.host === new URL(site).host
  asked.push(
    `${request.method} ${isSite ? 'site' : 'store'}${url.pathname}${url.search} ${request.headers.authorization ?? '-'}`,
  )
  if (!isSite)
    response.writeHead(200, { 'content-length': weights.length }).end(request.method === 'HEAD' ? '' : weights)
  else if (url.pathname.startsWith('/api/v1/models/')) answerModel(response)
  else if (url.pathname === '/api/download/models/401') response.writeHead(401).end('{"error":"Unauthorized"}')
  else response.writeHead(307, { location: `${store}/signed?sig=1` }).end()
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-civitai-'))
  servers = [createServer(answer), createServer(answer)]
  for (const server of servers) server.listen(0, '127.0.0.1')
  await Promise.all(servers.map((server) => once(server, 'listening')))
  ;[site = '', store = ''] = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
beforeEach(() => {
  asked = []
  answerModel = (response) => response.end(JSON.stringify({ name: 'größer', modelVersions: [{ id: 9208 }, { id: 7 }] }))
})
afterAll(async () => {
  await http.close()
  for (const server of servers) server.close()
  await rm(folder, { recursive: true })
})

const address = (
  reference: { modelId?: string; versionId?: string; query?: string },
  { token, mayAsk = true }: { token?: string; mayAsk?: boolean } = {},
) =>
  new CivitaiClient({ http, token }).address(
    { type: 'civitai', origin: site, ...reference },
    'civitai:7808',
    AbortSignal.timeout(5000),
    mayAsk,
  )

it('takes the version that is named, and asks nobody', async () => {
  const { url } = await address({ versionId: '12', query: 'type=Model&format=SafeTensor' }, { mayAsk: false })
  expect(url.href).toBe(`${site}/api/download/models/12?type=Model&format=SafeTensor`)
  expect(asked).toEqual([])
})

it('takes the newest version of a model that is named without one', async () => {
  expect((await address({ modelId: '7808' })).url.href).toBe(`${site}/api/download/models/9208`)
  expect(asked).toEqual(['GET site/api/v1/models/7808 -'])
})

it('does not ask which version is the newest when nothing may be fetched', async () => {
  await expect(address({ modelId: '7808' }, { mayAsk: false })).rejects.toMatchObject({ reason: 'downloads-off' })
  expect(asked).toEqual([])
})

it.each([
  ['no version', '{"modelVersions":[]}', 'not-found', 'civitai:7808 has no version that can be fetched.'],
  ['an id that would lead elsewhere', '{"modelVersions":[{"id":"../../x"}]}', 'not-found', 'has no version'],
  ['no object', 'null', 'not-found', 'has no version'],
  ['no JSON', '<html>', 'unreachable', "Civitai's answer about civitai:7808 is no JSON; try again later."],
  ['more than an answer needs', ' '.repeat(9 * 1024 * 1024), 'unreachable', 'is too long'],
])('says so in a sentence when Civitai answers %s', async (_, body, reason, sentence) => {
  answerModel = (response) => response.end(body)
  const failing = address({ modelId: '7808' })
  await expect(failing).rejects.toMatchObject({ reason })
  await expect(failing).rejects.toThrow(sentence)
})

it.each([
  [404, 'not-found'],
  [429, 'rate-limited'],
  [503, 'unreachable'],
])('says so in a sentence when Civitai answers %i', async (status, reason) => {
  answerModel = (response) => response.writeHead(status).end()
  await expect(address({ modelId: '7808' })).rejects.toMatchObject({ reason })
})

it('shows the token to Civitai and not to the store that it sends the download to', async () => {
  const { url, authorization = '' } = await address({ modelId: '7808' }, { token: 'secret' })
  const downloads = new UrlDownloads({ folder: join(folder, 'with-token'), http })
  const options = { url, authorization, label: 'civitai:7808', maxBytes: 1e6, signal: AbortSignal.timeout(5000) }
  const { path } = await downloads.fetch(options)
  expect(await readFile(path)).toEqual(Buffer.from(weights))
  expect(asked).toContain('GET site/api/download/models/9208 Bearer secret')
  expect(asked.filter((line) => line.includes(' store/')).length).toBeGreaterThan(0)
  expect(asked.filter((line) => line.includes(' store/') && !line.endsWith(' -'))).toEqual([])
})

it('says that a file is for those who are signed in', async () => {
  const { url } = await address({ versionId: '401' })
  const downloads = new UrlDownloads({ folder: join(folder, 'gated'), http })
  const fetching = downloads.fetch({ url, label: 'civitai:401', maxBytes: 1e6, signal: AbortSignal.timeout(5000) })
  await expect(fetching).rejects.toMatchObject({ reason: 'gated', message: expect.stringContaining('CIVITAI_TOKEN') })
})
