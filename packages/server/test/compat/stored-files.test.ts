import { afterAll, beforeAll, expect, it } from 'vitest'
import { createSqlKeyStore } from '../../src/gateway/sql-key-store.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

let server: WholeServer
let other: string
let admin: string

beforeAll(async () => {
  server = await startWholeServer()
  const keys = createSqlKeyStore(server.stores.database)
  const make = async (scope: 'API' | 'ADMIN', account: string) => {
    const { keyId, secret } = await keys.create('further', scope, account)
    return `${keyId}:${secret}`
  }
  other = await make('API', 'other')
  admin = await make('ADMIN', 'default')
})
afterAll(() => server.close())

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

async function call(method: string, path: string, key?: string, body?: unknown, more = {}): Promise<Answer> {
  const headers = {
    ...(key !== undefined && { authorization: `Key ${key}` }),
    'content-type': 'application/json',
    ...more,
  }
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) }
  const response = await fetch(new URL(path, server.url), init)
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
}

async function upload(content = 'text', lifecycle?: object): Promise<string> {
  const headers = lifecycle === undefined ? {} : { 'x-fal-object-lifecycle': JSON.stringify(lifecycle) }
  const file = { content_type: 'text/plain', file_name: 'a.txt' }
  const { body } = await call('POST', '/rest/storage/upload/initiate', server.key, file, headers)
  const { upload_url, file_url } = body as { upload_url: string; file_url: string }
  expect((await fetch(upload_url, { method: 'PUT', body: content })).status).toBe(200)
  return file_url
}

const aclOf = (url: string) => `/v1/storage/files/acl?url=${encodeURIComponent(url)}`
const sign = async (url: string, seconds: unknown, key = server.key) =>
  call('POST', `/v1/storage/files/sign?url=${encodeURIComponent(url)}`, key, { expiration_seconds: seconds })
const infoOf = (url: string) => server.stores.objects.head(new URL(url).pathname.replace('/cdn/', ''))

it('shows and replaces the access rules of a file', async () => {
  const url = await upload()
  expect(await call('GET', aclOf(url), server.key)).toMatchObject({
    status: 200,
    body: { default: 'allow', rules: [] },
  })
  const rules = [{ user: other.split(':')[0], decision: 'allow' }]
  const replaced = await call('PUT', aclOf(url), server.key, { default: 'forbid', rules })
  expect(replaced).toMatchObject({ status: 200, body: { default: 'forbid', rules } })
  expect((await call('GET', aclOf(url), admin)).body).toEqual({ default: 'forbid', rules })
  expect([(await call('GET', url)).status, (await call('GET', url, admin)).status]).toEqual([403, 200])
  expect([(await call('GET', url, other)).status, (await call('GET', url, server.key)).status]).toEqual([200, 200])
  await call('PUT', aclOf(url), server.key, { default: 'hide' })
  expect([(await call('GET', url)).status, (await call('GET', url, other)).status]).toEqual([404, 404])
  await call('PUT', aclOf(url), server.key, { default: 'allow', rules: [] })
  const open = await call('GET', url)
  expect([open.status, open.body, open.headers.get('cache-control')]).toEqual([200, 'text', 'public, max-age=86400'])
})

it('opens a forbidden or hidden file to whoever has its signed URL, for its time', async () => {
  for (const rule of ['forbid', 'hide']) {
    const url = await upload('secret', { initial_acl: { default: rule } })
    const { body } = await sign(url, 60)
    const { signed_url: signed } = body as { signed_url: string }
    expect(signed.startsWith(`${url}?`)).toBe(true)
    const read = await call('GET', signed)
    expect([read.status, read.body, read.headers.get('cache-control')]).toEqual([200, 'secret', 'private, no-store'])
    const elsewhere = await upload('other', { initial_acl: { default: rule } })
    const changed = (name: string, value: string) => {
      const altered = new URL(signed)
      altered.searchParams.set(name, value)
      return altered.href
    }
    const later = String(Number(new URL(signed).searchParams.get('valid_until')) + 1)
    for (const wrong of [
      url,
      changed('valid_until', later),
      changed('signature', 'x'),
      elsewhere + new URL(signed).search,
    ]) {
      expect((await call('GET', wrong)).status).toBe(rule === 'hide' ? 404 : 403)
    }
    expect((await fetch(signed, { method: 'PUT', body: 'overwritten' })).status).toBe(403)
  }
})

it('reads a signed URL of its own that comes as an input', async () => {
  const url = await upload('secret', { initial_acl: { default: 'forbid' } })
  const { body } = await sign(url, 60)
  const { signed_url: signed } = body as { signed_url: string }
  const run = async (image: string) => (await call('POST', '/run/fake/read', other, { image_url: image })).body
  expect(await run(signed)).toEqual({ size: 6 })
  expect(await run(url)).toMatchObject({ detail: [{ type: 'file_download_error' }] })
})

it('refuses keys of other accounts, and what is no file of this server', async () => {
  const url = await upload()
  const hidden = await upload('x', { initial_acl: { default: 'hide' } })
  const gone = url.replace(/files\/../, 'files/00')
  const status = async (method: string, path: string, key?: string, body?: unknown) =>
    (await call(method, path, key, body)).status
  expect(await status('GET', aclOf(url))).toBe(401)
  expect(await status('GET', aclOf(url), other)).toBe(404)
  expect(await status('PUT', aclOf(url), other, { default: 'hide' })).toBe(404)
  expect(await status('GET', aclOf(hidden), other)).toBe(404)
  expect(await status('GET', aclOf(gone), server.key)).toBe(404)
  expect((await sign(url, 60, other)).status).toBe(404)
  for (const bad of ['', 'https://example.com/a.png', `${server.url}/cdn/files/../../../etc/passwd`])
    expect(await status('GET', aclOf(bad), server.key)).toBe(400)
  for (const seconds of [0, 604_801, 1.5, '60', undefined]) expect((await sign(url, seconds)).status).toBe(400)
  for (const acl of [{ default: 'deny' }, { rules: [{ user: 'a' }] }, [], null])
    expect(await status('PUT', aclOf(url), server.key, acl)).toBe(400)
  expect((await call('GET', aclOf(gone), server.key)).body).toEqual({
    error: { type: 'not_found', message: expect.any(String) },
  })
})

it('stores uploads and generated files as the settings say, unless their request says otherwise', async () => {
  const settings = '/v1/storage/settings'
  expect((await call('GET', settings, server.key)).body).toEqual({
    expiration_duration_seconds: null,
    initial_acl: null,
  })
  expect((await call('PUT', settings, server.key, { expiration_duration_seconds: 3600 })).status).toBe(403)
  expect(await call('PUT', settings, admin, { expiration_duration_seconds: '1h' })).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringMatching(/^body: expected JSON such as/) } },
  })
  const wanted = { expiration_duration_seconds: 3600, initial_acl: { default: 'forbid' } }
  expect(await call('PUT', settings, admin, wanted)).toMatchObject({ status: 200, body: wanted })
  expect((await call('GET', settings, server.key)).body).toEqual(wanted)
  const lives = (info: Awaited<ReturnType<typeof infoOf>>) =>
    info?.expiresAt && Math.round((info.expiresAt.getTime() - info.createdAt.getTime()) / 600_000) * 600
  const uploaded = await infoOf(await upload())
  expect([lives(uploaded), uploaded?.acl]).toEqual([3600, { default: 'forbid' }])
  const chosen = await infoOf(await upload('x', { expiration_duration_seconds: 7200 }))
  expect([lives(chosen), chosen?.acl]).toEqual([7200, { default: 'forbid' }])
  const forGood = await infoOf(await upload('x', { expiration_duration_seconds: null, initial_acl: null }))
  expect([lives(forGood), forGood?.acl]).toEqual([undefined, undefined])
  const drawn = async (headers = {}) => {
    const { body } = await call('POST', '/run/fake/picture', server.key, {}, headers)
    return infoOf((body as { images: [{ url: string }] }).images[0].url)
  }
  const picture = await drawn()
  expect([lives(picture), picture?.acl]).toEqual([3600, { default: 'forbid' }])
  const kept = await drawn({
    'x-fal-object-lifecycle-preference': '{"expiration_duration_seconds":0,"initial_acl":null}',
  })
  expect([lives(kept), kept?.acl]).toEqual([undefined, undefined])
})
