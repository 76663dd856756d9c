import { createHash } from 'node:crypto'
import { createDarkroomClient } from '@darkroom/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTurns, FAKE_ENDPOINTS } from '../fakes/fake-endpoints.ts'
import { PROXY_SETUPS, type RunningProxy, startProxy } from '../fakes/reverse-proxy.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

/** Larger than nginx's own limit of 1 MB by far, and than what it buffers. */
const UPLOAD_BYTES = 200 * 1000 * 1000
const TYPE = 'application/octet-stream'

/** The settings of the reverse proxy guide, as they stand there, in the real programs. */
describe.each(PROXY_SETUPS)('behind $name', (setup) => {
  describe.skipIf(setup.program === undefined)('as the guide sets it up', { timeout: 60_000 }, () => {
    let server: WholeServer
    let proxy: RunningProxy
    let url: string
    const turns = createTurns()

    beforeAll(async () => {
      server = await startWholeServer({ endpoints: [...FAKE_ENDPOINTS, turns.endpoint] })
      proxy = await startProxy(setup, server.port)
      url = proxy.url
    }, 60_000)

    afterAll(async () => {
      await proxy?.stop()
      await server?.close()
    })

    const client = () => createDarkroomClient({ url, credentials: server.key })

    it('draws through the queue, and its URLs lead through the proxy', async () => {
      const { request_id: requestId, ...urls } = await client().queue.submit('fake/echo', { input: { prompt: 'a' } })
      expect(urls.status_url).toBe(`${url}/queue/fake/echo/requests/${requestId}/status`)
      await client().queue.subscribeToStatus('fake/echo', { requestId, mode: 'streaming' })
      expect((await client().queue.result('fake/echo', { requestId })).data).toEqual({ prompt: 'a' })
    })

    it('does not hold back the events of a stream', async () => {
      const stream = await client().stream('fake/turns', { input: {} })
      const events: unknown[] = []
      for await (const event of stream) {
        events.push(event)
        // The next one is not made before: a proxy that kept one until another comes would keep it for ever.
        turns.next()
      }
      expect(events).toEqual([{ step: 1 }, { step: 2 }, { step: 3 }, { done: 3 }])
    })

    it('passes realtime sockets', async () => {
      const result = await new Promise((resolve, reject) => {
        const connection = client().realtime.connect<Record<string, unknown>, unknown>('fake/echo', {
          throttleInterval: 0,
          connectionKey: crypto.randomUUID(),
          onResult: (output) => {
            connection.close()
            resolve(output)
          },
          onError: reject,
        })
        connection.send({ prompt: 'live' })
      })
      expect(result).toEqual({ prompt: 'live' })
    })

    it('takes an upload of 200 MB in one piece, and gives it back', async () => {
      const bytes = new Uint8Array(UPLOAD_BYTES).fill(7)
      const { upload_url: to, file_url: at } = await initiated()
      expect(to.startsWith(`${url}/`)).toBe(true)
      expect(at.startsWith(`${url}/cdn/files/`)).toBe(true)
      expect((await fetch(to, { method: 'PUT', body: bytes, headers: { 'content-type': TYPE } })).status).toBe(200)
      const back = createHash('sha256')
      for await (const part of (await fetch(at)).body ?? []) back.update(part)
      expect(back.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
    })

    /** As fal's client begins an upload; it sends files of this size in pieces, which asks less of a proxy. */
    async function initiated(): Promise<{ upload_url: string; file_url: string }> {
      const response = await fetch(`${url}/rest/storage/upload/initiate?storage_type=fal-cdn-v3`, {
        method: 'POST',
        headers: { authorization: `Key ${server.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ content_type: TYPE, file_name: 'large.bin' }),
      })
      return response.json() as Promise<{ upload_url: string; file_url: string }>
    }
  })
})
