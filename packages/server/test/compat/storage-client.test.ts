import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFalClient, type FalClient } from '@fal-ai/client'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WireError } from '../../src/errors/errors.ts'
import { filesRoutes } from '../../src/gateway/routes/files.ts'
import { storageRoutes } from '../../src/gateway/routes/storage.ts'
import { DiskObjectStore } from '../../src/storage/disk-object-store.ts'

const MEBIBYTE = 1024 * 1024

let folder = ''
let server: Server
let base = ''
let fal: FalClient

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'uploads-'))
  const dependencies = {
    store: new DiskObjectStore(folder),
    secret: randomBytes(32),
    lifecycleDefaults: { current: async () => ({}) },
    limits: { maxFileBytes: 200 * MEBIBYTE, maxPartBytes: 16 * MEBIBYTE, ticketSeconds: 600 },
    requireRoom() {},
    filesUrl: () => `${base}/cdn`,
    authenticate: async () => ({ account: 'default' }),
  }
  const app = new Hono()
  app.onError((error) =>
    Response.json({ detail: error.message }, { status: error instanceof WireError ? error.status : 500 }),
  )
  app.route('/rest', storageRoutes(dependencies))
  app.route('/cdn', filesRoutes(dependencies))
  server = createServer(getRequestListener(app.fetch))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  fal = createFalClient({
    credentials: 'id:secret',
    requestMiddleware: async (call) => ({ ...call, url: call.url.replace('https://rest.fal.ai', `${base}/rest`) }),
  })
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
  await rm(folder, { recursive: true })
})

async function blobs(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true })
  return entries.filter((name) => name.startsWith('objects') && name.includes('~'))
}

describe('the JavaScript client', () => {
  it.each([1, 5_000_000, 120_000_000])('uploads %i bytes, and a GET gives them back', async (size) => {
    const bytes = randomBytes(size)
    const url = await fal.storage.upload(new File([bytes], 'my picture.png', { type: 'image/png' }), {
      lifecycle: { expiresIn: '1d' },
    })
    const answer = await fetch(url)
    expect(url).toMatch(/_my-picture\.png$/)
    expect(answer.headers.get('content-type')).toBe('image/png')
    expect(answer.headers.get('content-length')).toBe(String(size))
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0)
  })

  it('replaces the blobs of an input by URLs', async () => {
    const input = { prompt: 'x', images: [new Blob(['a'], { type: 'image/gif' })], data: 'data:,x' }
    const sent = (await fal.storage.transformInput(input)) as { images: string[]; data: string }
    expect(sent.images[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/cdn\/files\/.*\.gif$/)
    expect(await (await fetch(sent.images[0] ?? '')).text()).toBe('a')
    expect(sent.data).toBe('data:,x')
  })
})

describe('broken connections', () => {
  async function uploadUrl(): Promise<string> {
    const answer = await fetch(`${base}/rest/storage/upload/initiate`, { method: 'POST', body: '{}' })
    return ((await answer.json()) as { upload_url: string }).upload_url
  }

  it.each([
    ['with a length', { 'content-length': '1000000' }],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
  ])('leave nothing of an upload %s', async (_, headers) => {
    const before = await blobs()
    const url = await uploadUrl()
    const upload = request(url, { method: 'PUT', headers })
    upload.on('error', () => {})
    upload.write(Buffer.alloc(100_000))
    // The server has begun to write.
    await expect.poll(async () => (await blobs()).length, { timeout: 15_000 }).toBe(before.length + 1)
    upload.destroy()
    await expect.poll(blobs, { timeout: 15_000 }).toEqual(before)
    expect((await fetch(url.split('?')[0] ?? '')).status).toBe(404)
  })

  it.runIf(process.platform === 'linux')('close the file of a download', async () => {
    const url = await fal.storage.upload(new Blob([Buffer.alloc(5_000_000)]))
    const openFiles = async () => {
      const { readlink } = await import('node:fs/promises')
      const targets = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
      return (await Promise.all(targets)).filter((target) => target.startsWith(folder)).length
    }
    const download = request(url).end()
    const [answer] = await once(download, 'response')
    await once(answer, 'readable')
    expect(await openFiles()).toBe(1)
    download.destroy()
    await expect.poll(openFiles, { timeout: 15_000 }).toBe(0)
  })
})
