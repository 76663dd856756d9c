import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { decode, encode } from '@msgpack/msgpack'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createGate, picture } from '../../test/fakes/fake-endpoints.ts'
import {
  KEY,
  KEY_ID,
  type LiveGateway,
  type LiveGatewayOptions,
  oneKey,
  startLiveGateway,
} from '../../test/fakes/live-gateway.ts'
import type { RunnableEndpoint } from '../endpoints/endpoint.ts'

let gateway: LiveGateway
const clients: Client[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate()
  await gateway.close()
})

async function start(options: LiveGatewayOptions = {}): Promise<void> {
  gateway = await startLiveGateway(options)
}

type Message = { readonly binary: boolean; readonly value: Record<string, unknown> }

/** A client that keeps what it gets. */
class Client {
  readonly socket: WebSocket
  readonly messages: Message[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  #wake: () => void = () => {}

  constructor(path: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, { headers })
    this.socket.on('message', (data: Buffer, binary) => {
      const value = binary ? decode(new Uint8Array(data), { useBigInt64: true }) : JSON.parse(data.toString())
      this.messages.push({ binary, value: value as Message['value'] })
      this.#wake()
    })
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
    clients.push(this)
  }

  async open(): Promise<this> {
    await new Promise((resolve, reject) => {
      this.socket.once('open', resolve)
      this.socket.once('error', reject)
    })
    return this
  }

  send(input: unknown): void {
    this.socket.send(encode(input, { useBigInt64: true }))
  }

  /** The message at an index, once it is there. */
  async message(index: number): Promise<Message> {
    for (;;) {
      const message = this.messages[index]
      if (message !== undefined) return message
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

const connect = (path: string, headers: Record<string, string> = {}) => new Client(path, headers).open()

/** The server reads a ping behind the messages before it: its pong says that it has them. */
async function allReceived(client: Client): Promise<void> {
  const pong = new Promise((resolve) => client.socket.once('pong', resolve))
  client.socket.ping()
  await pong
}

function refusal(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve) => {
    const client = new Client(path, headers)
    client.socket.on('error', () => {})
    client.socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
  })
}

describe('realtime frames', () => {
  it('answers MessagePack with MessagePack and JSON with JSON, integers of 64 bits whole', async () => {
    await start()
    const client = await connect('/run/fake/echo/realtime')
    client.send({ prompt: 'a', seed: 18446744073709551615n, size: 2 ** 40, tag: 0.5 })
    expect(await client.message(0)).toEqual({
      binary: true,
      value: { prompt: 'a', seed: 18446744073709551615n, size: BigInt(2 ** 40), tag: 0.5 },
    })
    client.socket.send('{"prompt":"b","request_id":"7","size":3}')
    expect(await client.message(1)).toEqual({ binary: false, value: { prompt: 'b', request_id: '7', size: 3 } })
  })

  it('echoes the request_id although the endpoint does not', async () => {
    await start()
    const client = await connect('/run/fake/picture/realtime')
    client.send({ request_id: 'abc' })
    expect((await client.message(0)).value.request_id).toBe('abc')
  })

  it('sends pictures as bytes and data URIs in MessagePack, and as data URIs in JSON', async () => {
    await start()
    const client = await connect('/run/fake/picture/realtime')
    client.send({ size: 3 })
    client.socket.send('{"size":3}')
    expect((await client.message(0)).value.images).toEqual([
      { url: 'data:image/png;base64,BwcH', content: Uint8Array.of(7, 7, 7), content_type: 'image/png' },
    ])
    expect((await client.message(1)).value.images).toEqual([
      { url: 'data:image/png;base64,BwcH', content_type: 'image/png' },
    ])
  })

  it('takes bytes as input', async () => {
    await start()
    const client = await connect('/run/fake/echo/realtime')
    client.send({ image_bytes: Uint8Array.of(1, 2) })
    expect((await client.message(0)).value).toEqual({ image_bytes: Uint8Array.of(1, 2) })
  })

  it('answers errors with a text message and keeps the socket', async () => {
    await start()
    const client = await connect('/run/fake/refuse/realtime')
    client.send({ request_id: 'r', image_url: 'x' })
    const { binary, value } = await client.message(0)
    expect(binary).toBe(false)
    expect(value).toMatchObject({
      type: 'x-fal-error',
      error: 'VALIDATION_ERROR',
      reason: 'image_url: The image could not be loaded',
      status_code: 422,
      detail: [{ loc: ['body', 'image_url'], type: 'image_load_error' }],
      request_id: 'r',
    })
    client.send({ prompt: ['not text'] })
    expect((await client.message(1)).value).toMatchObject({ error: 'VALIDATION_ERROR', status_code: 422 })
    client.socket.send(Uint8Array.of(0xc1))
    expect((await client.message(2)).value).toMatchObject({ error: 'VALIDATION_ERROR' })
    client.socket.send('{"broken"')
    expect((await client.message(3)).value).toMatchObject({ error: 'VALIDATION_ERROR' })
    expect(client.socket.readyState).toBe(WebSocket.OPEN)
  })

  it('says nothing of the inside of a defect', async () => {
    await start()
    const client = await connect('/run/fake/broken/realtime')
    client.send({})
    expect((await client.message(0)).value).toMatchObject({ error: 'INTERNAL_ERROR', reason: 'Internal Server Error' })
  })
})

describe('realtime flow', () => {
  it('works on inputs in order and drops the older of those that wait', async () => {
    const gate = createGate()
    await start({ endpoints: [gate.endpoint] })
    const client = await connect('/run/fake/gate/realtime?max_buffering=2')
    client.send({ tag: 1 })
    await gate.entered
    for (let tag = 2; tag <= 10; tag++) client.send({ tag })
    await allReceived(client)
    gate.open()
    await client.message(2)
    expect(client.messages.map(({ value }) => value.tag)).toEqual([1, 9, 10])
  })

  it('sends the newest input while the one before finishes, and answers in order', async () => {
    const begun: number[] = []
    const finishers: (() => void)[] = []
    let wake = () => {}
    const finishing: RunnableEndpoint = {
      schema: createGate().endpoint.schema,
      async *handler(input, context) {
        const { tag } = input as { readonly tag: unknown }
        begun.push(Number(tag))
        wake()
        await context.handOnDevice()
        await new Promise<void>((resolve) => {
          finishers.push(resolve)
          wake()
        })
        return { tag }
      },
    }
    const until = async (isSo: () => boolean) => {
      while (!isSo()) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
    await start({ endpoints: [finishing] })
    const client = await connect('/run/fake/gate/realtime?max_buffering=1')
    client.send({ tag: 1 })
    await until(() => begun.length === 1)
    client.send({ tag: 2 })
    await until(() => begun.length === 2)
    for (let tag = 3; tag <= 5; tag++) client.send({ tag })
    await allReceived(client)
    expect([begun, client.messages]).toEqual([[1, 2], []])
    finishers[0]?.()
    await until(() => finishers.length === 2)
    await until(() => begun.length === 3)
    finishers[1]?.()
    await until(() => finishers.length === 3)
    finishers[2]?.()
    await client.message(2)
    expect(client.messages.map(({ value }) => value.tag)).toEqual([1, 2, 5])
    expect(begun).toEqual([1, 2, 5])
  })

  it('answers in order, also when a later input is done first', async () => {
    let finishes = (_finish: () => void) => {}
    const finish = new Promise<() => void>((resolve) => {
      finishes = resolve
    })
    const finishing: RunnableEndpoint = {
      schema: createGate().endpoint.schema,
      async *handler(input, context) {
        const { tag } = input as { readonly tag: unknown }
        if (tag === 'slow') {
          await context.handOnDevice()
          await new Promise<void>((resolve) => finishes(resolve))
        }
        return { tag }
      },
    }
    await start({ endpoints: [finishing] })
    const [client, other] = await Promise.all([connect('/run/fake/gate/realtime'), connect('/run/fake/gate/realtime')])
    client.send({ tag: 'slow' })
    const end = await finish
    client.send({ tag: 'quick' })
    await allReceived(client)
    // Its answer comes from the runner behind the quick one's.
    other.send({ tag: 'other' })
    await other.message(0)
    end()
    await client.message(1)
    expect(client.messages.map(({ value }) => value.tag)).toEqual(['slow', 'quick'])
  })

  it('lets a second connection in between the inputs of a busy one', async () => {
    await start()
    const [busy, other] = await Promise.all([
      connect('/run/fake/steps/realtime?max_buffering=60'),
      connect('/run/fake/steps/realtime'),
    ])
    for (let tag = 0; tag < 20; tag++) busy.send({ steps: 1, ms: 5, tag })
    await busy.message(0)
    other.send({ steps: 1, ms: 5, tag: 'other' })
    await other.message(0)
    expect(busy.messages.length).toBeLessThan(10)
  })

  it('does not work ahead of a reader that does not read', async () => {
    let works = 0
    const counted: RunnableEndpoint = {
      schema: picture.schema,
      handler: (input, context) => {
        works += 1
        return picture.handler(input, context)
      },
    }
    await start({ endpoints: [counted] })
    const client = await connect('/run/fake/picture/realtime?max_buffering=60')
    client.socket.pause()
    // Twenty results are many times what the sockets' own buffers hold.
    for (let tag = 0; tag < 20; tag++) client.send({ size: 4 * 1024 * 1024, tag })
    for (let before = -1; before !== works; ) {
      before = works
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(works).toBeLessThan(12)
    client.socket.resume()
    await client.message(19)
    expect(works).toBe(20)
  })

  it('stops the work of a client that goes away', async () => {
    await start()
    const leaving = await connect('/run/fake/steps/realtime')
    leaving.send({ steps: 1_000_000, ms: 5 })
    await allReceived(leaving)
    leaving.socket.close()
    const next = await connect('/run/fake/echo/realtime')
    next.send({ tag: 'next' })
    expect((await next.message(0)).value).toEqual({ tag: 'next' })
  })

  it('goes on with another runner when its own goes away', async () => {
    await start()
    const client = await connect('/run/fake/echo/realtime')
    client.send({ tag: 1 })
    await client.message(0)
    await gateway.runners[0]?.drain(0)
    await gateway.startRunner()
    client.send({ tag: 2 })
    expect((await client.message(1)).value).toEqual({ tag: 2 })
  })

  it('closes an idle connection normally, and says why', async () => {
    await start({ realtime: { idleSeconds: 0.05 } })
    const client = await connect('/run/fake/echo/realtime')
    expect((await client.closed).code).toBe(1000)
    expect(client.messages).toEqual([
      {
        binary: false,
        value: { type: 'x-fal-error', error: 'TIMEOUT', reason: 'no inputs, reconnect when needed!' },
      },
    ])
  })

  it('finishes what it works on before it closes for a shutdown', async () => {
    const gate = createGate()
    await start({ endpoints: [gate.endpoint] })
    const client = await connect('/run/fake/gate/realtime')
    client.send({ tag: 1 })
    await gate.entered
    const closed = gateway.sockets.close(10)
    gate.open()
    await closed
    expect((await client.closed).code).toBe(1000)
    expect((await client.message(0)).value).toEqual({ tag: 1 })
  })

  it('refuses a message that is too large: 1009', async () => {
    await start({ realtime: { maxMessageBytes: 1024 } })
    const client = await connect('/run/fake/echo/realtime')
    client.send({ prompt: 'x'.repeat(2000) })
    expect((await client.closed).code).toBe(1009)
  })

  it('gives up a client that answers no ping', async () => {
    await start({ pingSeconds: 0.03 })
    const client = new Client('/run/fake/echo/realtime')
    client.socket.on('ping', () => {})
    await client.open()
    // No pong: the library answers pings by itself unless it is kept from reading them.
    client.socket.pause()
    await new Promise((resolve) => setTimeout(resolve, 150))
    client.socket.resume()
    expect((await client.closed).code).toBe(1006)
  })
})

describe('realtime handshake', () => {
  it('knows the paths of every client', async () => {
    await start()
    for (const path of [
      '/run/fake/echo/realtime',
      '/run/fake/echo/realtime/realtime',
      '/run/fake/echo/ws',
      '/run/fake/legacy-picture/realtime/',
    ]) {
      await connect(path)
    }
    await connect('/fake/echo/realtime', { host: 'fal.run' })
  })

  it('answers 400 to a target that is no URL', async () => {
    await start()
    const socket = connectSocket(Number(new URL(gateway.url).port), '127.0.0.1')
    socket.write('GET //[ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1.1 400 /)
    socket.destroy()
  })

  it('answers 404 to a path that is none, and goes on', async () => {
    await start()
    expect(await refusal('/run/fake/nothing/realtime')).toMatchObject({ status: 404 })
    const { status, body } = await refusal('/run/fal-ai/unknown/realtime')
    expect(status).toBe(404)
    expect(JSON.parse(body).detail).toBe('Application "unknown" not found')
    expect(await refusal('/realtime')).toMatchObject({ status: 404 })
    expect(await refusal('/queue/fake/echo/realtime')).toMatchObject({ status: 404 })
    await connect('/run/fake/echo/realtime')
  })

  it('refuses a lifecycle that cannot be read', async () => {
    await start()
    const client = new Client('/run/fake/echo/realtime', { 'x-fal-object-lifecycle-preference': '{' })
    await expect(client.open()).rejects.toThrow('400')
  })

  it('takes a token for the application, or a key', async () => {
    await start({ keys: oneKey })
    const token = await gateway.tokens.mint({ keyId: KEY_ID, allowedApps: ['echo'], expiresInSeconds: 60 })
    const byToken = await connect(`/run/fake/echo/realtime?fal_jwt_token=${token}`)
    byToken.send({ tag: 'x' })
    expect((await byToken.message(0)).value).toEqual({ tag: 'x' })
    const byKey = await connect('/run/fake/echo/realtime', { authorization: `Key ${KEY}` })
    byKey.send({ tag: 'y' })
    expect((await byKey.message(0)).value).toEqual({ tag: 'y' })
  })

  it('tells a browser by a message that its token opens nothing', async () => {
    await start({ keys: oneKey })
    const holders = [
      { keyId: KEY_ID, allowedApps: ['picture'] },
      { keyId: 'revoked', allowedApps: ['echo'] },
      { allowedApps: ['echo'] },
    ]
    const mint = (holder: (typeof holders)[number]) => gateway.tokens.mint({ ...holder, expiresInSeconds: 60 })
    for (const token of ['', 'nonsense', ...(await Promise.all(holders.map(mint)))]) {
      const client = await connect(`/run/fake/echo/realtime${token === '' ? '' : `?fal_jwt_token=${token}`}`)
      expect((await client.message(0)).value).toEqual({ status: 'error', error: 'Unauthorized' })
      expect(await client.closed).toEqual({ code: 1008, reason: 'Unauthorized' })
    }
  })

  it('answers a wrong key with 401', async () => {
    await start({ keys: oneKey })
    const { status, body } = await refusal('/run/fake/echo/realtime', { authorization: 'Key a:b' })
    expect(status).toBe(401)
    expect(JSON.parse(body).detail).toBe('No user found for Key ID and Secret')
  })
})
