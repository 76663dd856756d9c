/** Clients of the three things that are measured. Each remembers its connections until `close`. */
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { decode, encode } from '@msgpack/msgpack'
import { WebSocket } from 'ws'
import { createDirectChannel } from '../../packages/server/src/channel/channel-client.ts'
import type { RunnerAdvertisement } from '../../packages/server/src/queue/request-queue.ts'
import type { Call } from './load.ts'

export interface Callers {
  readonly call: Call
  close(): void
}

/** What an input holds: `wait_ms` is how long the handler is to wait. */
type NextInput = () => Readonly<Record<string, unknown>>

/** HTTP callers, one kept-alive connection each. */
export function httpCallers(port: number, callers: number, nextInput: NextInput): Callers {
  const agents = Array.from({ length: callers }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  return {
    call: (caller) => post(port, agents[caller] as Agent, JSON.stringify(nextInput())),
    close: () => {
      for (const agent of agents) agent.destroy()
    },
  }
}

function post(port: number, agent: Agent, body: string): Promise<{ waitedMs: number }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    const call = request({ agent, port, host: '127.0.0.1', path: '/run/bench/idle', method: 'POST', headers })
    call.on('error', reject)
    call.on('response', async (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (response.statusCode === 200) resolve({ waitedMs: JSON.parse(text).waited_ms })
        else reject(new Error(`status ${response.statusCode}: ${text}`))
      })
    })
    call.end(body)
  })
}

/** Realtime callers, one socket each; the answers of a socket come in the order of its inputs. */
export async function realtimeCallers(port: number, callers: number, nextInput: NextInput): Promise<Callers> {
  const sockets = await Promise.all(
    Array.from({ length: callers }, async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/run/bench/idle/realtime?max_buffering=60`)
      const waiting: { resolve(answer: { waitedMs: number }): void; reject(error: Error): void }[] = []
      socket.on('message', (data: Buffer, binary) => {
        const asker = waiting.shift()
        if (!binary) return asker?.reject(new Error(data.toString()))
        asker?.resolve({ waitedMs: (decode(data) as { waited_ms: number }).waited_ms })
      })
      await once(socket, 'open')
      return { socket, waiting }
    }),
  )
  return {
    call: (caller) =>
      new Promise((resolve, reject) => {
        sockets[caller]?.waiting.push({ resolve, reject })
        sockets[caller]?.socket.send(encode(nextInput()))
      }),
    close: () => {
      for (const { socket } of sockets) socket.close()
    },
  }
}

/** The direct channel alone, a conversation per call as a sync run has it. */
export function channelCallers(runner: RunnerAdvertisement, nextInput: NextInput): Callers {
  const channel = createDirectChannel({ queue: { runners: async () => [runner] } })
  const options = { requestId: 'bench', endpointId: 'bench/idle', account: 'default', filesUrl: 'http://localhost/cdn' }
  return {
    call: async () => {
      const conversation = await channel.open({ ...options, streaming: false, inlineBytes: false })
      try {
        for await (const event of conversation.send(nextInput(), new AbortController().signal)) {
          if (event.type !== 'result') continue
          if (event.status !== 200) throw new Error(`status ${event.status}`)
          return { waitedMs: (event.output as { waited_ms: number }).waited_ms }
        }
        throw new Error('The conversation ended without a result')
      } finally {
        conversation.close()
      }
    },
    close: () => void channel.close(),
  }
}
