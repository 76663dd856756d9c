/**
 * How much time do gateway, direct channel and runner add to a handler that does nothing?
 *
 *   npx tsx bench/gateway/overhead.ts
 *
 * Gateway and runner are processes of their own; the load comes from this one. Beside the figures stands the same load on
 * a bare `node:http` server in the same process layout, so that a slow machine shows as such. Last results: README.md.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { decode, encode } from '@msgpack/msgpack'
import { WebSocket } from 'ws'
import { createDirectChannel } from '../../packages/server/src/channel/channel-client.ts'
import type { SessionOptions } from '../../packages/server/src/channel/direct-channel.ts'
import type { RunnerAdvertisement } from '../../packages/server/src/queue/request-queue.ts'

const WARM_UP = 1_500
const CALLS = 5_000
const INPUT = { prompt: 'a lighthouse at dusk, oil on canvas', seed: 42 }
const SESSION: SessionOptions = {
  requestId: 'bench',
  endpointId: 'bench/idle',
  filesUrl: 'http://localhost/cdn',
  streaming: false,
  inlineBytes: false,
}

async function measureAll(): Promise<void> {
  const children: ChildProcess[] = []
  const start = async (file: string, argument = ''): Promise<unknown> => {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), [argument], { execArgv: ['--import', 'tsx'] })
    children.push(child)
    return (await once(child, 'message'))[0]
  }
  try {
    const runner = (await start('idle-runner.ts')) as RunnerAdvertisement
    const gatewayPort = (await start('idle-gateway.ts', JSON.stringify(runner))) as number
    const barePort = (await start('overhead.ts', 'bare')) as number
    for (const concurrency of [1, 50]) {
      await report('bare node:http', concurrency, () => post(barePort))
      await reportChannel(runner, concurrency)
      await report('sync run', concurrency, () => post(gatewayPort))
      await reportRealtime(gatewayPort, concurrency)
    }
  } finally {
    for (const child of children) child.disconnect()
  }
}

async function reportChannel(runner: RunnerAdvertisement, concurrency: number): Promise<void> {
  const channel = createDirectChannel({ queue: { runners: async () => [runner] } })
  await report('direct channel', concurrency, async () => {
    const session = await channel.open(SESSION)
    for await (const event of session.send(INPUT, new AbortController().signal)) {
      if (event.type === 'result' && event.status !== 200) throw new Error(`status ${event.status}`)
    }
    session.close()
  })
  await channel.close()
}

async function reportRealtime(port: number, concurrency: number): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: concurrency }, () => connect(port)))
  await report('realtime frame', concurrency, (worker) => {
    const socket = sockets[worker] as WebSocket
    return new Promise<void>((resolve, reject) => {
      socket.once('message', (data: Buffer, binary) => {
        if (binary && typeof decode(data) === 'object') resolve()
        else reject(new Error(data.toString()))
      })
      socket.send(encode(INPUT))
    })
  })
  for (const socket of sockets) socket.close()
}

async function connect(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/run/bench/idle/realtime`)
  await once(socket, 'open')
  return socket
}

const agent = new Agent({ keepAlive: true, maxSockets: 200 })
const BODY = JSON.stringify(INPUT)

function post(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': BODY.length }
    const call = request({ agent, port, host: '127.0.0.1', path: '/run/bench/idle', method: 'POST', headers })
    call.on('error', reject)
    call.on('response', (response) => {
      response.resume()
      response.on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`))))
    })
    call.end(BODY)
  })
}

/** Calls from `concurrency` callers, each waiting for its answer before it calls again. */
async function report(name: string, concurrency: number, call: (worker: number) => Promise<void>): Promise<void> {
  await run(concurrency, WARM_UP, call)
  const startedAt = performance.now()
  const latencies = await run(concurrency, CALLS, call)
  const seconds = (performance.now() - startedAt) / 1000
  latencies.sort((a, b) => a - b)
  const quantile = (q: number) => (latencies[Math.floor(q * latencies.length)] ?? 0).toFixed(2)
  console.log(
    `${name.padEnd(15)} ${String(concurrency).padStart(3)} concurrent: ` +
      `p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, ${Math.round(CALLS / seconds)}/s`,
  )
}

async function run(concurrency: number, calls: number, call: (worker: number) => Promise<void>): Promise<number[]> {
  const latencies: number[] = []
  let left = calls
  const worker = async (_: unknown, index: number) => {
    while (left-- > 0) {
      const startedAt = performance.now()
      await call(index)
      latencies.push(performance.now() - startedAt)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return latencies
}

/** The peer: reads the body, answers the same bytes. */
async function serveBare(): Promise<void> {
  const server = createServer((incoming, outgoing) => {
    incoming.resume()
    incoming.on('end', () => outgoing.setHeader('content-type', 'application/json').end('{"images":[],"seed":1}'))
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
  process.once('disconnect', () => process.exit(0))
}

if (process.argv[2] === 'bare') await serveBare()
else await measureAll()
