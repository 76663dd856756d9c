import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { echo } from '../../test/fakes/fake-endpoints.ts'
import { KEY, KEY_ID, type LiveGateway, oneKey, startLiveGateway } from '../../test/fakes/live-gateway.ts'
import type { RunnableEndpoint } from '../endpoints/endpoint.ts'

let gateway: LiveGateway
const sockets: WebSocket[] = []

beforeEach(async () => {
  gateway = await startLiveGateway({ keys: oneKey })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate()
  await gateway.close()
})

const AUTHORIZED = { authorization: `Key ${KEY}` }

/** Sends messages and gives back the first `count` frames, JSON parsed. */
async function exchange(path: string, messages: readonly string[], count: number, headers: object = AUTHORIZED) {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, { headers: { ...headers } })
  sockets.push(socket)
  const frames: unknown[] = []
  const all = new Promise<void>((resolve, reject) => {
    socket.on('message', (data: Buffer, binary) => {
      const text = data.toString()
      frames.push(binary || !text.startsWith('{') ? text : JSON.parse(text))
      if (frames.length === count) resolve()
    })
    socket.on('error', reject)
    socket.on('close', (code) => reject(new Error(`closed with ${code} after ${frames.length} frames`)))
  })
  socket.once('open', () => {
    for (const message of messages) socket.send(message)
  })
  await all
  return frames
}

const id = expect.stringMatching(/^[0-9a-f-]{36}$/)
const start = (status: number) => ({
  type: 'start',
  request_id: id,
  status,
  headers: expect.objectContaining({ 'x-fal-request-id': id }),
})
const end = (status: number) => ({
  type: 'end',
  request_id: id,
  status,
  time_to_first_byte_seconds: expect.any(Number),
})

describe('HTTP over a websocket', () => {
  it('answers every message with a start, the body and an end, in order', async () => {
    const messages = [1, 2, 3].map((tag) => JSON.stringify({ tag, seed: 1 }))
    const frames = await exchange('/ws/fake/echo', messages, 9)
    expect(frames).toEqual([1, 2, 3].flatMap((tag) => [start(200), { tag, seed: 1 }, end(200)]))
    expect(new Set(frames.map((frame) => (frame as { request_id?: string }).request_id)).size).toBe(4)
  })

  it('is what ws.fal.run stands for, paths included', async () => {
    const frames = await exchange('/fake/picture', ['{"seed":7}'], 3, { ...AUTHORIZED, host: 'ws.fal.run' })
    expect(frames).toEqual([
      start(200),
      { images: [{ url: 'http://v3.fal.media/files/x.png', content_type: 'image/png' }], seed: 7 },
      end(200),
    ])
  })

  it('answers errors as the run route does, and goes on', async () => {
    const frames = await exchange('/ws/fake/refuse', ['{"image_url":"x"}', 'no JSON', '{"image_url":"y"}'], 9)
    expect(frames).toMatchObject([
      start(422),
      { detail: [{ type: 'image_load_error', input: 'x' }] },
      end(422),
      start(422),
      { detail: [{ type: 'value_error.jsondecode' }] },
      end(422),
      start(422),
      { detail: [{ type: 'image_load_error', input: 'y' }] },
      end(422),
    ])
    expect((await exchange('/ws/fake/none', ['{}'], 3))[1]).toMatchObject({ detail: 'Application "none" not found' })
  })

  it('passes a stream on as it comes', async () => {
    const frames = await exchange('/ws/fake/steps/stream', ['{"steps":2,"ms":20}'], 5)
    expect(frames).toEqual([
      { ...start(200), headers: expect.objectContaining({ 'content-type': 'text/event-stream; charset=utf-8' }) },
      'data: {"step":1}\n\n',
      'data: {"step":2}\n\n',
      'data: {"done":2}\n\n',
      end(200),
    ])
  })

  it('answers more messages than it lets wait', async () => {
    const messages = Array.from({ length: 60 }, (_, tag) => JSON.stringify({ tag }))
    const frames = await exchange('/ws/fake/echo', messages, 180)
    expect(frames.filter((_, index) => index % 3 === 1)).toEqual(messages.map((message) => JSON.parse(message)))
  })

  it('stops the work of a client that goes away, before there is anything to send it', async () => {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws/fake/steps`, { headers: AUTHORIZED })
    sockets.push(socket)
    await once(socket, 'open')
    socket.send('{"steps":1000000,"ms":5}')
    socket.ping()
    await once(socket, 'pong') // It has the message.
    socket.terminate()
    expect((await exchange('/ws/fake/echo', ['{"tag":1}'], 3))[1]).toEqual({ tag: 1 })
  })

  it('does not work ahead of a reader that does not read', async () => {
    await gateway.close()
    let works = 0
    const long = 'x'.repeat(4 * 1024 * 1024)
    const counted: RunnableEndpoint = {
      schema: echo.schema,
      async *handler() {
        yield* []
        works += 1
        return { prompt: long }
      },
    }
    gateway = await startLiveGateway({ endpoints: [counted] })
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws/fake/echo`)
    sockets.push(socket)
    await once(socket, 'open')
    socket.pause()
    // Twenty answers are many times what the sockets' own buffers hold.
    for (let i = 0; i < 20; i++) socket.send('{}')
    for (let before = -1; before !== works; ) {
      before = works
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(works).toBeGreaterThan(0)
    expect(works).toBeLessThan(12)
    const ends = new Promise<void>((resolve) => {
      let count = 0
      socket.on('message', (data: Buffer) => {
        if (data.length < 1000 && data.toString().includes('"end"') && ++count === 20) resolve()
      })
    })
    socket.resume()
    await ends
    expect(works).toBe(20)
  })

  it('ends a connection whose client is silent', async () => {
    await gateway.close()
    gateway = await startLiveGateway({ pingSeconds: 0.02 })
    const connect = (autoPong: boolean) => {
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws/fake/echo`, { autoPong })
      sockets.push(socket)
      return socket
    }
    const [heard, silent] = [connect(true), connect(false)]
    await once(heard, 'open')
    expect((await once(silent, 'close'))[0]).toBe(1006)
    expect(heard.readyState).toBe(WebSocket.OPEN)
  })

  it('stops the work of a client that goes away in the middle of an answer', async () => {
    const path = '/ws/fake/steps/stream'
    const message = '{"steps":1000000,"ms":5}'
    await exchange(path, [message], 2)
    for (const socket of sockets.splice(0)) socket.terminate()
    expect((await exchange('/ws/fake/echo', ['{"tag":1}'], 3))[1]).toEqual({ tag: 1 })
  })

  it('opens only with a valid key or token, and for no foreign page without keys', async () => {
    const refused = (headers: object) => expect(exchange('/ws/fake/echo', ['{}'], 1, headers)).rejects
    await refused({}).toThrow('401')
    await refused({ authorization: 'Key a:b' }).toThrow('401')
    const token = await gateway.tokens.mint({ keyId: KEY_ID, allowedApps: ['echo'], expiresInSeconds: 60 })
    const path = `/ws/fake/echo?fal_jwt_token=${token}`
    expect(await exchange(path, ['{}'], 3, {})).toEqual([start(200), {}, end(200)])
    expect((await exchange(`${path}x`, ['{}'], 3, {}))[0]).toEqual(start(401))
    await gateway.close()
    gateway = await startLiveGateway()
    await refused({ origin: 'http://evil.test' }).toThrow('403')
  })

  it('answers what it was asked before it closes for a shutdown', async () => {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws/fake/deaf`, { headers: AUTHORIZED })
    sockets.push(socket)
    const frames: string[] = []
    socket.on('message', (data: Buffer) => frames.push(data.toString()))
    await once(socket, 'open')
    socket.send('{"ms":100}')
    socket.ping()
    await once(socket, 'pong') // It has the message.
    const closed = once(socket, 'close')
    await gateway.sockets.close(5)
    expect((await closed)[0]).toBe(1001)
    expect(frames.map((frame) => JSON.parse(frame))).toEqual([start(200), { finished: true }, end(200)])
  })
})
