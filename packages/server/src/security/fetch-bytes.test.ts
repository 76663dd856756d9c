import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FetchLimits, fetchBytes } from './fetch-bytes.ts'
import { OutboundHttp } from './outbound-http.ts'

let server: Server
let port = 0
let requests: string[] = []
let connections = 0
const local = new OutboundHttp({ allowPrivateTargets: true })
const strict = new OutboundHttp({ allowPrivateTargets: false })
const LIMITS: FetchLimits = { maxBytes: 1000, timeoutSeconds: 5 }

const ROUTES: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/picture': (_, response) => response.writeHead(200, { 'content-type': 'image/png' }).end('picture'),
  '/page': (_, response) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>'),
  '/large': (_, response) => response.end(Buffer.alloc(1001)),
  '/endless': (_, response) => {
    const write = () => {
      while (!response.destroyed && response.write(Buffer.alloc(100)));
    }
    response.on('drain', write)
    write()
  },
  '/gzip': (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('zipped')),
  '/brotli': (_, response) => response.writeHead(200, { 'content-encoding': 'br' }).end(brotliCompressSync('rolled')),
  '/bomb': (_, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(5_000_000))),
  '/broken-gzip': (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip'),
  '/silent': () => {},
  '/stalls': (_, response) => response.write('half'),
  '/breaks': (_, response) =>
    response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy()),
  '/missing': (_, response) => response.writeHead(404).end(),
  '/hop': (request, response) => {
    const left = Number(new URL(request.url ?? '', 'http://h').searchParams.get('left'))
    response.writeHead(302, { location: left > 1 ? `/hop?left=${left - 1}` : '/picture' }).end()
  },
  '/to-metadata': (_, response) => response.writeHead(307, { location: 'http://169.254.169.254/latest' }).end(),
  '/to-file': (_, response) => response.writeHead(301, { location: 'file:///etc/passwd' }).end(),
}

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? '')
    const route = ROUTES[new URL(request.url ?? '', 'http://h').pathname]
    if (route === undefined) response.writeHead(404).end()
    else route(request, response)
  })
  server.on('connection', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
beforeEach(() => {
  requests = []
  connections = 0
})
afterAll(async () => {
  await Promise.all([local.close(), strict.close()])
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
})

const at = (path: string) => `http://127.0.0.1:${port}${path}`
const code = (value: string) => expect.objectContaining({ name: 'OutboundError', code: value })

describe('hostile targets', () => {
  it.each([
    'http://127.0.0.1:PORT/picture',
    'http://2130706433:PORT/picture',
    'http://0x7f.1:PORT/picture',
    'http://0177.0.0.1:PORT/picture',
    'http://0:PORT/picture',
    'http://127.0.0.1.:PORT/picture',
    'http://[::1]:PORT/picture',
    'http://[::ffff:127.0.0.1]:PORT/picture',
    'http://[::ffff:7f00:1]:PORT/picture',
    'http://[::127.0.0.1]:PORT/picture',
    'http://[64:ff9b::7f00:1]:PORT/picture',
    'http://localhost:PORT/picture',
    'http://169.254.169.254/latest/meta-data/',
    'http://[fd00:ec2::254]/latest/meta-data/',
    'http://10.0.0.1/',
    'http://１２７.０.０.１:PORT/picture',
    'https://127.0.0.1:PORT/picture',
  ])('%s is blocked before a connection is made', async (url) => {
    await expect(fetchBytes(strict, url.replace('PORT', String(port)), LIMITS)).rejects.toEqual(code('blocked'))
    expect(connections).toBe(0)
  })

  it('reaches the same server where private targets are allowed, but no metadata service', async () => {
    expect(String((await fetchBytes(local, `http://0x7f.1:${port}/picture`, LIMITS)).bytes)).toBe('picture')
    await expect(fetchBytes(local, 'http://169.254.169.254/', LIMITS)).rejects.toEqual(code('blocked'))
    await expect(fetchBytes(local, 'http://0/', LIMITS)).rejects.toEqual(code('blocked'))
  })

  it.each([
    'file:///etc/passwd',
    'ftp://h/x',
    'gopher://h/',
    'javascript:1',
    'not a url',
    '//h/x',
    '',
    'http://',
    'http://u:p@8.8.8.8/',
  ])('%j is no URL to fetch', async (url) => {
    await expect(fetchBytes(local, url, LIMITS)).rejects.toEqual(code('invalid_url'))
  })

  it('blocks a name when any of its addresses is private, and a name without one', async () => {
    for (const addresses of [['8.8.8.8', '127.0.0.1'], ['127.0.0.1'], ['::ffff:10.0.0.1'], []]) {
      const lookup: LookupFunction = (_host, _options, callback) =>
        callback(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        )
      const outbound = new OutboundHttp({ allowPrivateTargets: false, lookup })
      await expect(fetchBytes(outbound, `http://rebind.example:${port}/picture`, LIMITS)).rejects.toEqual(
        code('blocked'),
      )
      await outbound.close()
    }
    expect(connections).toBe(0)
  })

  it('sends nothing over a socket that ended up at a private address after all', async () => {
    let reads = 0
    const changing = {
      family: 4,
      get address() {
        return reads++ === 0 ? '8.8.8.8' : '127.0.0.1'
      },
    }
    const lookup: LookupFunction = (_host, _options, callback) => callback(null, [changing])
    const outbound = new OutboundHttp({ allowPrivateTargets: false, lookup })
    await expect(fetchBytes(outbound, `http://rebind.example:${port}/picture`, LIMITS)).rejects.toEqual(code('blocked'))
    await outbound.close()
    expect([connections, requests]).toEqual([1, []])
  })
})

describe('redirects', () => {
  it('follows five and not six', async () => {
    expect(String((await fetchBytes(local, at('/hop?left=5'), LIMITS)).bytes)).toBe('picture')
    await expect(fetchBytes(local, at('/hop?left=6'), LIMITS)).rejects.toEqual(code('redirects'))
  })

  it('checks every target', async () => {
    await expect(fetchBytes(local, at('/to-metadata'), LIMITS)).rejects.toEqual(code('blocked'))
    await expect(fetchBytes(local, at('/to-file'), LIMITS)).rejects.toEqual(code('invalid_url'))
  })
})

describe('limits', () => {
  it('gives the bytes and the declared type', async () => {
    const { bytes, contentType } = await fetchBytes(local, at('/picture'), LIMITS)
    expect([String(bytes), contentType]).toEqual(['picture', 'image/png'])
    expect(String((await fetchBytes(local, at('/gzip'), LIMITS)).bytes)).toBe('zipped')
    expect(String((await fetchBytes(local, at('/brotli'), LIMITS)).bytes)).toBe('rolled')
    expect(String((await fetchBytes(local, 'data:,inline', LIMITS)).bytes)).toBe('inline')
  })

  it.each([
    ['/large', 'too_large'],
    ['/endless', 'too_large'],
    ['/bomb', 'too_large'],
    ['/missing', 'status'],
    ['/breaks', 'network'],
  ])('%s ends with %s', async (path, expected) => {
    await expect(fetchBytes(local, at(path), LIMITS)).rejects.toEqual(code(expected))
  })

  it('reports a damaged encoding and a closed port as network errors', async () => {
    await expect(fetchBytes(local, at('/broken-gzip'), LIMITS)).rejects.toEqual(code('network'))
    await expect(fetchBytes(local, 'http://127.0.0.1:1/', LIMITS)).rejects.toEqual(code('network'))
  })

  it('gives up on a server that says nothing, or stops in between', async () => {
    for (const path of ['/silent', '/stalls'])
      await expect(fetchBytes(local, at(path), { ...LIMITS, timeoutSeconds: 0.05 })).rejects.toEqual(code('timeout'))
  })

  it('stops when its signal does', async () => {
    const abort = new AbortController()
    const reason = new Error('cancelled')
    const fetched = fetchBytes(local, at('/silent'), { ...LIMITS, signal: abort.signal })
    abort.abort(reason)
    await expect(fetched).rejects.toBe(reason)
    await expect(fetchBytes(local, at('/picture'), { ...LIMITS, signal: abort.signal })).rejects.toBe(reason)
  })

  it('asks about the declared type before it reads', async () => {
    const accepts = (type: string) => type === 'image/png'
    expect(String((await fetchBytes(local, at('/picture'), { ...LIMITS, accepts })).bytes)).toBe('picture')
    await expect(fetchBytes(local, at('/page'), { ...LIMITS, accepts })).rejects.toEqual(code('type'))
    await expect(fetchBytes(local, 'data:text/html,x', { ...LIMITS, accepts })).rejects.toEqual(code('type'))
  })
})
