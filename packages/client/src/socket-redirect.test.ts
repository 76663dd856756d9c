import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { forgetSocket, redirectSocket } from './socket-redirect.ts'

/** Keeps its URL; `open()` is what a server's answer does. */
class FakeSocket extends EventTarget {
  static readonly OPEN = 1
  readonly url: string

  constructor(url: string | URL) {
    super()
    this.url = String(url)
  }

  open(): void {
    this.dispatchEvent(new Event('open'))
  }
}

const scope = globalThis as unknown as { WebSocket?: typeof FakeSocket }
const real = scope.WebSocket
const make = (url: string) => new (scope.WebSocket ?? FakeSocket)(url)

beforeEach(() => {
  scope.WebSocket = FakeSocket
})
afterEach(() => {
  if (real === undefined) delete scope.WebSocket
  else scope.WebSocket = real
})

describe('redirectSocket', () => {
  it('changes the URL of the socket with the token, and of no other', () => {
    redirectSocket('ours', 'http://host:1', () => {})
    const other = make('wss://fal.run/a/b/realtime?fal_jwt_token=theirs')
    const foreign = make('wss://example.org/socket')
    const ours = make('wss://fal.run/a/b/realtime?fal_jwt_token=ours')
    expect(other.url).toBe('wss://fal.run/a/b/realtime?fal_jwt_token=theirs')
    expect(foreign.url).toBe('wss://example.org/socket')
    expect(ours.url).toBe('ws://host:1/run/a/b/realtime?fal_jwt_token=ours')
    expect(ours).toBeInstanceOf(FakeSocket)
    ours.open()
  })

  it('gives the global back as soon as the socket is open', () => {
    let opened = false
    redirectSocket('t', 'http://host:1', () => {
      opened = true
    })
    expect(scope.WebSocket).not.toBe(FakeSocket)
    expect(scope.WebSocket?.OPEN).toBe(1)
    make('wss://fal.run/a/b/realtime?fal_jwt_token=t').open()
    expect(opened).toBe(true)
    expect(scope.WebSocket).toBe(FakeSocket)
  })

  it('redirects again the token of a socket that never opened', () => {
    redirectSocket('t', 'http://host:1', () => {})
    make('wss://fal.run/a/b/realtime?fal_jwt_token=t')
    const again = make('wss://fal.run/a/b/realtime?fal_jwt_token=t')
    expect(again.url).toContain('ws://host:1/')
    again.open()
  })

  it('gives the global back when the connection is given up', () => {
    redirectSocket('t', 'http://host:1', () => {})
    make('wss://fal.run/a/b/realtime?fal_jwt_token=t')
    forgetSocket('t')
    expect(scope.WebSocket).toBe(FakeSocket)
  })

  it('keeps two Darkrooms apart, and goes on until both are connected', () => {
    redirectSocket('a', 'http://host:1', () => {})
    redirectSocket('b', 'https://host:2', () => {})
    const b = make('wss://fal.run/x/y/realtime?fal_jwt_token=b')
    b.open()
    const a = make('wss://fal.run/x/y/realtime?fal_jwt_token=a')
    a.open()
    expect([a.url, b.url].map((url) => new URL(url).origin)).toEqual(['ws://host:1', 'wss://host:2'])
    expect(scope.WebSocket).toBe(FakeSocket)
  })

  it('leaves a class alone that was put over it meanwhile', () => {
    redirectSocket('t', 'http://host:1', () => {})
    class Over extends (scope.WebSocket as typeof FakeSocket) {}
    scope.WebSocket = Over
    const socket = make('wss://fal.run/a/b/realtime?fal_jwt_token=t')
    expect(socket).toBeInstanceOf(Over)
    expect(socket.url).toContain('ws://host:1/')
    socket.open()
    expect(scope.WebSocket).toBe(Over)
  })
})
