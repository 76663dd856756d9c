import { gunzipSync } from 'node:zlib'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { errorResponse } from '../error-response.ts'
import type { PlaygroundBundle } from '../playground-bundle.ts'
import { playgroundRoutes } from './playground.ts'

const bytes = (text: string) => new Uint8Array(new TextEncoder().encode(text))
const BUNDLE: PlaygroundBundle = new Map([
  ['index.html', bytes('<html><head><title>D</title></head></html>')],
  ['assets/index-1.js', bytes('console.log(1)')],
  ['icon.svg', bytes('<svg/>')],
])

const S3 = {
  bucket: 'b',
  region: 'r',
  endpoint: 'http://bucket:9000/',
  accessKeyId: undefined,
  secretAccessKey: undefined,
}

function app(
  load = async () => BUNDLE,
  config: Parameters<typeof playgroundRoutes>[1] = { publicUrl: undefined, s3: undefined },
) {
  const routes = new Hono()
  routes.route('/', playgroundRoutes(load, config) as unknown as Hono)
  routes.onError((error) => errorResponse(error))
  return routes
}

describe('the playground’s routes', () => {
  it.each([
    ['/', './'],
    ['/history', './'],
    ['/models/fal-ai/lora', '../../'],
    ['/models/fal-ai/lora/image-to-image', '../../../'],
  ])('answer %s with the document, whose base is %s', async (path, base) => {
    const response = await app().request(path)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain(`<head>\n    <base href="${base}" />`)
  })

  it('allow no script, style or connection of another host', async () => {
    const policy = (await app().request('/')).headers.get('content-security-policy')
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';")
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
  })

  it('allow the public URL and the bucket where the configuration names them', async () => {
    const config = { publicUrl: 'https://draw.example/below', s3: S3 }
    const policy = (await app(undefined, config).request('/')).headers.get('content-security-policy')
    expect(policy).toContain("img-src 'self' data: blob: https://draw.example;")
    expect(policy).toContain("connect-src 'self' data: blob: https://draw.example http://bucket:9000;")
  })

  it('give assets compressed where that is accepted, for ever', async () => {
    const plain = await app().request('/assets/index-1.js')
    expect(plain.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    expect(plain.headers.get('cache-control')).toContain('immutable')
    expect(await plain.text()).toBe('console.log(1)')
    const gzipped = await app().request('/assets/index-1.js', { headers: { 'accept-encoding': 'gzip, br' } })
    expect(gzipped.headers.get('content-encoding')).toBe('gzip')
    expect(gunzipSync(await gzipped.arrayBuffer()).toString()).toBe('console.log(1)')
  })

  it('answer 404 for a file that is not of the bundle', async () => {
    expect((await app().request('/assets/none.js')).status).toBe(404)
    expect((await app().request('/assets/..%2findex.html')).status).toBe(404)
  })

  it('say why where the bundle could not be built', async () => {
    const broken = async () => Promise.reject(new Error('vite is not installed'))
    const response = await app(broken).request('/')
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining('vite is not installed') })
  })
})
