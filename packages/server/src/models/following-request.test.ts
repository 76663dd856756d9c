import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { OutboundHttp } from '../security/outbound-http.ts'
import { type FollowedRequest, sendFollowing } from './following-request.ts'

const http = new OutboundHttp({ allowPrivateTargets: true })
let asked: string[] = []
let servers: Server[] = []
let [home, elsewhere] = ['', '']

beforeAll(async () => {
  const answer: RequestListener = (request, response) => {
    asked.push(
      `${request.headers.host === new URL(home).host ? 'home' : 'elsewhere'} ${request.headers.authorization ?? '-'}`,
    )
    const target = new URL(request.url ?? '', 'http://h').searchParams.get('to')
    if (target === null) response.end('here')
    else response.writeHead(302, { location: target }).end()
  }
  servers = [createServer(answer), createServer(answer)]
  for (const server of servers) server.listen(0, '127.0.0.1')
  await Promise.all(servers.map((server) => once(server, 'listening')))
  ;[home = '', elsewhere = ''] = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
beforeEach(() => {
  asked = []
})
afterAll(async () => {
  await http.close()
  for (const server of servers) server.close()
})

const send = (path: string, options: Partial<FollowedRequest> = {}) =>
  sendFollowing(
    http,
    {
      url: new URL(path, home),
      method: 'GET',
      authorization: 'Bearer secret',
      timeoutSeconds: 5,
      signal: AbortSignal.timeout(5000),
      ...options,
    },
    async ({ status, body }, url) => ({
      status,
      text: await body.toArray().then((parts) => parts.join('')),
      origin: url.origin,
    }),
  )
const to = (target: string) => `/?to=${encodeURIComponent(target)}`

it('shows the token to the first origin alone', async () => {
  expect(await send(to(`${elsewhere}/x`))).toEqual({ status: 200, text: 'here', origin: elsewhere })
  expect(await send(to('/x'))).toMatchObject({ origin: home })
  expect(asked).toEqual(['home Bearer secret', 'elsewhere -', 'home Bearer secret', 'home Bearer secret'])
})

it('gives a redirect back that is not to be followed', async () => {
  const follows = (from: URL, target: URL) => from.origin === target.origin
  expect(await send(to(`${elsewhere}/x`), { follows })).toMatchObject({ status: 302, origin: home })
  expect(await send(to('/x'), { follows })).toMatchObject({ status: 200 })
})

it('follows five redirects and no more', async () => {
  await expect(send(to(to('/')))).resolves.toMatchObject({ status: 200 })
  const nested = Array.from({ length: 6 }).reduce<string>((inner) => to(inner), '/end')
  await expect(send(nested)).rejects.toMatchObject({ name: 'OutboundError', code: 'redirects' })
})

it('goes nowhere that is not fetched from', async () => {
  await expect(send(to('http://169.254.169.254/latest'))).rejects.toMatchObject({ code: 'blocked' })
  await expect(send(to('file:///etc/passwd'))).rejects.toMatchObject({ code: 'invalid_url' })
})
