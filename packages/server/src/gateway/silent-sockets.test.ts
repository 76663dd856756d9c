import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { WebSocketServer } from 'ws'
import { terminateSilent } from './silent-sockets.ts'

class PlayedSocket extends EventEmitter {
  readonly isPaused = false
  readonly ping = vi.fn()
  readonly terminate = vi.fn()
}

let socket: PlayedSocket
let stop: () => void

beforeEach(() => {
  vi.useFakeTimers()
  socket = new PlayedSocket()
  stop = terminateSilent({ clients: new Set([socket]) } as unknown as WebSocketServer, 20)
})

afterEach(() => {
  stop()
  vi.useRealTimers()
})

it('ends a socket that answered no ping, and none that did', () => {
  vi.advanceTimersByTime(20_000)
  socket.emit('pong')
  vi.advanceTimersByTime(20_000)
  expect(socket.terminate).not.toHaveBeenCalled()
  vi.advanceTimersByTime(20_000)
  expect(socket.terminate).toHaveBeenCalledOnce()
})

it('gives a socket time to answer after the process stood still', () => {
  vi.advanceTimersByTime(20_000)
  vi.setSystemTime(Date.now() + 600_000)
  vi.advanceTimersByTime(20_000)
  expect(socket.terminate).not.toHaveBeenCalled()
  expect(socket.ping).toHaveBeenCalledTimes(2)
  vi.advanceTimersByTime(20_000)
  expect(socket.terminate).toHaveBeenCalledOnce()
})
