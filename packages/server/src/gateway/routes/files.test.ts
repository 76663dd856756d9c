import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono, type MiddlewareHandler } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WireError } from '../../errors/errors.ts'
import { DiskObjectStore } from '../../storage/disk-object-store.ts'
import { saveGeneratedFile } from '../../storage/generated-file.ts'
import { putOptions } from '../../storage/lifecycle.ts'
import { newFileKey } from '../../storage/object-key.ts'
import { shareWithPages } from '../cross-origin.ts'
import { filesRoutes } from './files.ts'
import { storageRoutes } from './storage.ts'

let folder = ''
let store: DiskObjectStore
let app: Hono

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routes-'))
  store = new DiskObjectStore(folder)
  const dependencies = {
    store,
    secret: randomBytes(32),
    lifecycleDefaults: { current: async () => ({}) },
    limits: { maxFileBytes: 20_000_000, maxPartBytes: 1000, ticketSeconds: 60 },
    requireRoom() {},
    filesUrl: (request: Request) => `${new URL(request.url).origin}/cdn`,
    authenticate: async (request: Request) => {
      const user = /^Key (\w+):right$/.exec(request.headers.get('authorization') ?? '')?.[1]
      if (user === undefined) throw new WireError(401, 'No user found for Key ID and Secret')
      return { account: user }
    },
  }
  app = new Hono()
  app.use(shareWithPages as MiddlewareHandler)
  app.onError((error) => {
    if (!(error instanceof WireError)) throw error
    return Response.json({ detail: error.detail }, { status: error.status })
  })
  app.route('/rest', storageRoutes(dependencies))
  app.route('/cdn', filesRoutes(dependencies))
})
afterAll(() => rm(folder, { recursive: true }))

const KEY = { authorization: 'Key ann:right' }

async function call(
  method: string,
  url: string,
  init: { body?: string | Blob; headers?: Record<string, string> } = {},
) {
  const answer = await app.request(new Request(new URL(url, 'http://localhost'), { method, ...init }))
  // Read to the end, so that no test leaves a file open.
  return answer.body === null ? answer : new Response(await answer.arrayBuffer(), answer)
}

async function jsonOf<T>(answer: Response): Promise<T> {
  return (await answer.json()) as T
}

async function initiate(
  path = 'initiate',
  body: unknown = { content_type: 'image/png', file_name: 'a.png' },
  headers = {},
) {
  const init = { body: JSON.stringify(body), headers: { ...KEY, 'content-type': 'application/json', ...headers } }
  const answer = await call('POST', `/rest/storage/upload/${path}?storage_type=fal-cdn-v3`, init)
  expect(answer.status).toBe(200)
  const urls = await jsonOf<{ upload_url: string; file_url: string }>(answer)
  return urls
}

describe('downloads', () => {
  const bytes = randomBytes(1000)
  let url = ''

  beforeAll(async () => {
    const options = { filesUrl: 'http://localhost/cdn/', lifecycle: {} }
    const file = await saveGeneratedFile(store, bytes, 'image/png', 'png', options)
    expect(file).toMatchObject({ contentType: 'image/png', fileSize: 1000 })
    expect(file.url).toMatch(/^http:\/\/localhost\/cdn\/files\/[0-9a-f]{2}\/[0-9a-f]{30}_[0-9a-f]{32}\.png$/)
    expect(file.url.endsWith(`_${file.fileName}`)).toBe(true)
    url = file.url
  })

  it('sends the file with its type, length, validators and safety headers, to anyone', async () => {
    const answer = await call('GET', url)
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': '1000',
      'accept-ranges': 'bytes',
      'access-control-allow-origin': '*',
      'cache-control': 'public, max-age=86400',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
      'content-disposition': expect.stringMatching(/^inline; filename="[0-9a-f]{32}\.png"$/),
      etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    })
  })

  it('answers HEAD with the same headers and no body', async () => {
    const answer = await call('HEAD', url)
    expect([answer.status, answer.headers.get('content-length'), answer.body]).toEqual([200, '1000', null])
  })

  it.each([
    ['bytes=0-9', 206, 'bytes 0-9/1000', 0, 10],
    ['bytes=990-', 206, 'bytes 990-999/1000', 990, 1000],
    ['bytes=-5', 206, 'bytes 995-999/1000', 995, 1000],
    ['bytes=-5000', 206, 'bytes 0-999/1000', 0, 1000],
    ['bytes=10-5000', 206, 'bytes 10-999/1000', 10, 1000],
    ['bytes=0-1,5-6', 200, null, 0, 1000],
    ['bytes=9-2', 200, null, 0, 1000],
    ['lines=1-2', 200, null, 0, 1000],
  ])('range %s', async (range, status, contentRange, start, end) => {
    const answer = await call('GET', url, { headers: { range } })
    expect([answer.status, answer.headers.get('content-range')]).toEqual([status, contentRange])
    expect(answer.headers.get('content-length')).toBe(String(end - start))
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes.subarray(start, end))).toBe(true)
  })

  it('answers 416 to a range past the end, 304 to a current validator, and the whole file to an old If-Range', async () => {
    const past = await call('GET', url, { headers: { range: 'bytes=1000-' } })
    expect([past.status, past.headers.get('content-range')]).toEqual([416, 'bytes */1000'])
    const etag = (await call('HEAD', url)).headers.get('etag') ?? ''
    expect((await call('GET', url, { headers: { 'if-none-match': `"x", W/${etag}` } })).status).toBe(304)
    expect((await call('GET', url, { headers: { range: 'bytes=0-9', 'if-range': '"old"' } })).status).toBe(200)
    expect((await call('GET', url, { headers: { range: 'bytes=0-9', 'if-range': etag } })).status).toBe(206)
  })

  it('makes a browser save what it would run', async () => {
    for (const contentType of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/javascript']) {
      const key = newFileKey('page.html')
      await store.put(key, Buffer.from('<script>alert(1)</script>'), { contentType })
      const answer = await call('GET', `/cdn/${key}`)
      expect(answer.headers.get('content-disposition')).toBe('attachment; filename="page.html"')
      expect(answer.headers.get('content-security-policy')).toContain('sandbox')
    }
  })

  it('answers 404 for unknown, expired and impossible names', async () => {
    const key = newFileKey('a.txt')
    await store.put(key, Buffer.from('x'), { contentType: 'text/plain', expiresAt: new Date(Date.now() - 1) })
    for (const path of [key, 'files/ab/none.png', 'files/ab/..%2f..%2fsecret', 'files/%2e%2e/%2e%2e', 'files/ab/%00']) {
      expect((await call('GET', `/cdn/${path}`)).status).toBe(404)
    }
  })

  it('obeys the access rules: forbid 403, hide 404, the owner and named users read', async () => {
    const key = (name: string) => ({ authorization: `Key ${name}:right` })
    for (const [decision, status] of [['forbid', 403] as const, ['hide', 404] as const]) {
      const acl = { default: decision, rules: [{ user: 'bob', decision: 'allow' as const }] }
      const file = newFileKey('secret.txt')
      await store.put(file, Buffer.from('x'), putOptions('text/plain', { acl }, 'ann', new Date()))
      const statusFor = async (headers: Record<string, string>) =>
        (await call('HEAD', `/cdn/${file}`, { headers })).status
      expect(await statusFor({})).toBe(status)
      expect(await statusFor(key('eve'))).toBe(status)
      expect(await statusFor(key('bob'))).toBe(200)
      expect(await statusFor(key('ann'))).toBe(200)
      expect((await call('HEAD', `/cdn/${file}`, { headers: KEY })).headers.get('cache-control')).toBe(
        'private, no-store',
      )
    }
  })
})

describe('uploads to a signed URL', () => {
  it('stores the bytes under the type that was initiated, without a key', async () => {
    const { upload_url, file_url } = await initiate('initiate', {
      content_type: 'image/webp',
      file_name: '../Büro foto.webp',
    })
    expect(file_url).toMatch(/^http:\/\/localhost\/cdn\/files\/[0-9a-f]{2}\/[0-9a-f]{30}_Buro-foto\.webp$/)
    const put = await call('PUT', upload_url, { body: 'picture', headers: { 'content-type': 'text/html' } })
    expect([put.status, await put.json()]).toEqual([200, {}])
    const read = await call('GET', file_url)
    expect([read.headers.get('content-type'), await read.text()]).toEqual(['image/webp', 'picture'])
  })

  it('names and types what the client did not', async () => {
    const { upload_url, file_url } = await initiate('initiate', {})
    await call('PUT', upload_url, { body: 'x' })
    expect(file_url).toMatch(/_file$/)
    const read = await call('GET', file_url)
    expect([read.headers.get('content-type'), await read.text()]).toEqual(['application/octet-stream', 'x'])
  })

  it('refuses a URL that was altered, is for another file, or is over', async () => {
    const { upload_url, file_url } = await initiate()
    const other = await initiate()
    const altered = new URL(upload_url)
    altered.searchParams.set('ticket', `${altered.searchParams.get('ticket')}A`)
    const swapped = `${other.file_url}${new URL(upload_url).search}`
    for (const url of [file_url, altered.href, swapped, upload_url.replace(/signature=.*/, 'signature=')]) {
      const answer = await call('PUT', url, { body: 'x' })
      expect(answer.status).toBe(403)
    }
    expect((await call('GET', file_url)).status).toBe(404)
  })

  it('refuses too large a file, before and while reading it', async () => {
    const { upload_url, file_url } = await initiate()
    const announced = await call('PUT', upload_url, { body: 'x', headers: { 'content-length': '20000001' } })
    expect(announced.status).toBe(413)
    const big = new Blob([Buffer.alloc(20_000_001)])
    expect((await call('PUT', upload_url, { body: big })).status).toBe(413)
    const cut = await call('PUT', upload_url, { body: 'x', headers: { 'content-length': '5' } })
    expect(cut.status).toBe(400)
    expect((await call('GET', file_url)).status).toBe(404)
  })

  it('keeps the lifecycle of either header, and refuses what is none', async () => {
    const lifecycle = JSON.stringify({ expiration_duration_seconds: 60, initial_acl: { default: 'hide' } })
    for (const header of ['x-fal-object-lifecycle', 'x-fal-object-lifecycle-preference']) {
      const { upload_url, file_url } = await initiate('initiate', {}, { [header]: lifecycle })
      await call('PUT', upload_url, { body: 'x' })
      const info = await store.head(new URL(file_url).pathname.replace('/cdn/', ''))
      expect(info).toMatchObject({ owner: 'ann', acl: { default: 'hide' } })
      expect(Math.abs((info?.expiresAt?.getTime() ?? 0) - Date.now() - 60_000)).toBeLessThan(10_000)
    }
    const url = '/rest/storage/upload/initiate'
    for (const bad of ['{', '{"expiration_duration_seconds":"1h"}', '{"initial_acl":{"default":"deny"}}', '[]']) {
      expect((await call('POST', url, { headers: { ...KEY, 'x-fal-object-lifecycle': bad } })).status).toBe(400)
    }
  })

  it('needs a key to begin, and a body that can be read', async () => {
    for (const path of ['upload/initiate', 'upload/initiate-multipart', 'auth/token']) {
      expect((await call('POST', `/rest/storage/${path}`)).status).toBe(401)
    }
    const statusOf = async (body: string) =>
      (await call('POST', '/rest/storage/upload/initiate', { body, headers: KEY })).status
    expect([await statusOf('{'), await statusOf('[]'), await statusOf('{"file_name":1}')]).toEqual([400, 422, 422])
  })

  it('refuses compressed and endless bodies of its JSON calls, and compressed files', async () => {
    const { upload_url } = await initiate()
    const encoded = await call('PUT', upload_url, { body: 'x', headers: { 'content-encoding': 'gzip' } })
    expect(encoded.status).toBe(415)
    const path = '/rest/storage/upload/initiate'
    expect((await call('POST', path, { body: '{}', headers: { ...KEY, 'content-encoding': 'br' } })).status).toBe(415)
    expect((await call('POST', path, { body: '{}', headers: { ...KEY, 'content-encoding': 'identity' } })).status).toBe(
      200,
    )
    expect((await call('POST', path, { body: ' '.repeat(100_000), headers: KEY })).status).toBe(413)
    const multipart = new URL((await initiate('initiate-multipart')).upload_url)
    multipart.pathname += '/complete'
    expect((await call('POST', multipart.href, { body: ' '.repeat(3_000_000) })).status).toBe(413)
  })

  it('answers the preflight of a browser', async () => {
    const { upload_url } = await initiate()
    const headers = {
      origin: 'http://app.example',
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'content-type',
    }
    const answer = await call('OPTIONS', upload_url, { headers })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe('http://app.example')
    expect(answer.headers.get('access-control-allow-methods')).toContain('PUT')
    expect(answer.headers.get('access-control-allow-headers')).toBe('content-type')
  })
})

describe('multipart uploads', () => {
  const at = (upload: string, suffix: string) => {
    const url = new URL(upload)
    return `${url.origin}${url.pathname}/${suffix}${url.search}`
  }

  it('takes parts below the signed URL and joins them', async () => {
    const { upload_url, file_url } = await initiate('initiate-multipart')
    const parts = []
    for (const [n, body] of [
      [2, 'second'],
      [1, 'first '],
    ] as const) {
      const answer = await call('PUT', at(upload_url, String(n)), { body })
      const part = await jsonOf<{ partNumber: number; etag: string }>(answer)
      expect(part.partNumber).toBe(n)
      expect(answer.headers.get('etag')).toBe(`"${part.etag}"`)
      parts.push({ ...part, etag: n === 1 ? `"${part.etag}"` : part.etag })
    }
    const done = await call('POST', at(upload_url, 'complete'), { body: JSON.stringify({ parts }) })
    expect(done.status).toBe(200)
    const read = await call('GET', file_url)
    expect([read.headers.get('content-type'), await read.text()]).toEqual(['image/png', 'first second'])
  })

  it('refuses empty, too large and misnumbered parts, and mixing the two kinds of URL', async () => {
    const { upload_url } = await initiate('initiate-multipart')
    const single = await initiate()
    const statusOf = async (url: string, body: string) => (await call('PUT', url, { body })).status
    expect(await statusOf(at(upload_url, '1'), '')).toBe(400)
    expect(await statusOf(at(upload_url, '1'), 'x'.repeat(1001))).toBe(413)
    expect(await statusOf(at(upload_url, '0'), 'x')).toBe(400)
    expect(await statusOf(at(upload_url, '99999'), 'x')).toBe(400)
    expect(await statusOf(upload_url, 'x')).toBe(400)
    expect(await statusOf(at(single.upload_url, '1'), 'x')).toBe(400)
    const complete = async (body: string) => (await call('POST', at(upload_url, 'complete'), { body })).status
    expect([await complete('{'), await complete('{"parts":[]}')]).toEqual([400, 400])
    expect(await complete('{"parts":[{"partNumber":1,"etag":"0"}]}')).toBe(400)
  })
})

describe('uploads with a CDN token', () => {
  async function token(): Promise<{ authorization: string }> {
    const answer = await call('POST', '/rest/storage/auth/token?storage_type=fal-cdn-v3', { body: '{}', headers: KEY })
    const body = await jsonOf<Record<string, string>>(answer)
    expect(Object.keys(body)).toEqual(['token', 'token_type', 'base_url', 'expires_at'])
    expect(body.base_url).toBe('http://localhost/cdn')
    expect(body.expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/)
    return { authorization: `${body.token_type} ${body.token}` }
  }

  it('stores a file in one piece', async () => {
    const headers = { ...(await token()), 'content-type': 'image/jpeg', 'x-fal-file-name': 'me.jpg' }
    const answer = await call('POST', '/cdn/files/upload', { body: 'picture', headers })
    const { access_url } = await jsonOf<{ access_url: string }>(answer)
    expect(access_url).toMatch(/_me\.jpg$/)
    expect((await store.head(new URL(access_url).pathname.replace('/cdn/', '')))?.owner).toBe('ann')
    expect(await (await call('GET', access_url)).text()).toBe('picture')
  })

  it('stores a file in parts that come out of order', async () => {
    const headers = await token()
    const created = await call('POST', '/cdn/files/upload/multipart', {
      headers: { ...headers, 'content-type': 'image/gif' },
    })
    const { access_url, uploadId } = await jsonOf<{ access_url: string; uploadId: string }>(created)
    const part = async (n: number, body: string) => {
      const answer = await call('PUT', `${access_url}/multipart/${uploadId}/${n}`, { body, headers })
      return { partNumber: n, etag: answer.headers.get('etag') ?? '' }
    }
    const parts = [await part(3, 'c'), await part(1, 'a'), await part(2, 'b')]
    const init = { body: JSON.stringify({ parts }), headers }
    expect((await call('POST', `${access_url}/multipart/${uploadId}/complete`, init)).status).toBe(200)
    const read = await call('GET', access_url)
    expect([read.headers.get('content-type'), await read.text()]).toEqual(['image/gif', 'abc'])
  })

  it('refuses an empty part, and calls without a token', async () => {
    const headers = await token()
    const created = await call('POST', '/cdn/files/upload/multipart', { headers })
    const { access_url, uploadId } = await jsonOf<{ access_url: string; uploadId: string }>(created)
    expect((await call('PUT', `${access_url}/multipart/${uploadId}/1`, { body: '', headers })).status).toBe(400)
    expect((await call('PUT', `${access_url}/multipart/${uploadId}/1`, { body: 'x' })).status).toBe(401)
    expect((await call('POST', '/cdn/files/upload', { body: 'x' })).status).toBe(401)
    const forged = { authorization: `${headers.authorization}A` }
    expect((await call('POST', '/cdn/files/upload', { body: 'x', headers: forged })).status).toBe(401)
  })
})
