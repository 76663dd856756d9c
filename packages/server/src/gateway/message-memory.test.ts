import { EventEmitter } from 'node:events'
import { beforeEach, expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { BodiesInFlight } from './bodies-in-flight.ts'
import { MessageMemory } from './message-memory.ts'

const MEGABYTE = 1_000_000

/** A socket as far as it is looked at: what comes, what is a message, and how it is closed. */
class PlayedSocket extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  readonly closedWith: unknown[] = []
  readonly connection = new EventEmitter()

  receive(bytes: number): void {
    this.connection.emit('data', new Uint8Array(bytes))
  }

  close(code: number): void {
    this.readyState = 2
    this.closedWith.push(code)
  }

  terminate(): void {
    this.closedWith.push('terminated')
    this.emit('close')
  }
}

let bodies: BodiesInFlight

beforeEach(() => {
  bodies = new BodiesInFlight(10 * MEGABYTE, 4 * MEGABYTE)
})

function open(account: string): PlayedSocket & { readonly memory: MessageMemory } {
  const socket = new PlayedSocket()
  const lease = bodies.lease(() => account)
  return Object.assign(socket, { memory: new MessageMemory(socket as unknown as WebSocket, socket.connection, lease) })
}

it('counts what comes, and what is not answered yet', () => {
  const socket = open('a')
  socket.receive(MEGABYTE)
  socket.receive(MEGABYTE)
  expect(bodies.bytes).toBe(2 * MEGABYTE)
  socket.emit('message', new Uint8Array(2 * MEGABYTE))
  expect(bodies.bytes).toBe(2 * MEGABYTE)
  socket.receive(MEGABYTE)
  expect(bodies.bytes).toBe(3 * MEGABYTE)
  socket.memory.free(2 * MEGABYTE)
  expect(bodies.bytes).toBe(MEGABYTE)
  socket.emit('close')
  expect(bodies.bytes).toBe(0)
})

it('closes a socket that wants more than its account may have, and others of the account go on', async () => {
  const [first, second, other] = [open('greedy'), open('greedy'), open('honest')]
  first.receive(3 * MEGABYTE)
  second.receive(3 * MEGABYTE)
  other.receive(4 * MEGABYTE)
  await new Promise((resolve) => setImmediate(resolve))
  expect(second.closedWith).toEqual([1013, 'terminated'])
  expect([first.closedWith, other.closedWith]).toEqual([[], []])
  expect(bodies.bytes).toBe(7 * MEGABYTE)
})
