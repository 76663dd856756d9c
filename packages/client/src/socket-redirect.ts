import { fallbackWebSocket } from '#platform-websocket'
import { toDarkroomUrl } from './darkroom-url.ts'

/**
 * `@fal-ai/client` opens `new WebSocket('wss://fal.run/…?fal_jwt_token=…')` and has no setting for where. What marks a
 * socket as ours is the token: it came from our token provider a moment before. So from the token's coming until its
 * socket is open, the global WebSocket is a proxy that changes the URL of exactly that socket and passes everything
 * else through; then the global is what it was.
 */
interface PendingSocket {
  readonly base: string
  readonly onOpen: () => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** A connection that was never made lets go of the global after this long: the lifetime of the client's own tokens. */
const PENDING_MILLISECONDS = 120_000

type SocketClass = new (url: string | URL, protocols?: string | string[]) => EventTarget
type GlobalScope = { WebSocket?: SocketClass }

const scope = globalThis as unknown as GlobalScope
const pending = new Map<string, PendingSocket>()
let original: SocketClass | undefined
let proxy: SocketClass | undefined

/** Redirects the next socket opened with this token to the Darkroom at `base`. */
export function redirectSocket(token: string, base: string, onOpen: () => void): void {
  clearTimeout(pending.get(token)?.timer)
  const timer = setTimeout(() => release(token), PENDING_MILLISECONDS)
  // Node would wait for it before it exits; a browser's timers are numbers.
  if (typeof timer === 'object') timer.unref()
  pending.set(token, { base, onOpen, timer })
  install()
}

/** Gives up a connection that was not made. */
export function forgetSocket(token: string): void {
  release(token)
}

function install(): void {
  if (proxy !== undefined && scope.WebSocket === proxy) return
  // Node 20 has none. fal's client reads `WebSocket.OPEN` for as long as a connection lives, so the fallback stays.
  const found = scope.WebSocket ?? (fallbackWebSocket as SocketClass | undefined)
  if (found === undefined) {
    throw new Error('Realtime needs a WebSocket class: set globalThis.WebSocket, for example to that of the package ws')
  }
  original = found
  proxy = new Proxy(original, { construct: openSocket })
  scope.WebSocket = proxy
}

function openSocket(
  target: SocketClass,
  [url, ...rest]: [string | URL, ...(string | string[])[]],
  newTarget: unknown,
): EventTarget {
  // A class that extends the proxy keeps its own prototype.
  const made = newTarget === proxy ? target : (newTarget as SocketClass)
  const token = tokenOf(String(url))
  const redirect = token === undefined ? undefined : pending.get(token)
  if (token === undefined || redirect === undefined) return Reflect.construct(target, [url, ...rest], made)
  const socket: EventTarget = Reflect.construct(target, [toDarkroomUrl(String(url), redirect.base), ...rest], made)
  // Until it is open the client may try again with the same token, without asking for another.
  socket.addEventListener('open', () => {
    release(token)
    redirect.onOpen()
  })
  return socket
}

function tokenOf(url: string): string | undefined {
  return URL.canParse(url) ? (new URL(url).searchParams.get('fal_jwt_token') ?? undefined) : undefined
}

function release(token: string): void {
  clearTimeout(pending.get(token)?.timer)
  pending.delete(token)
  if (pending.size > 0) return
  // Somebody may have put their own class over the proxy meanwhile; passing everything through, it does no harm there.
  if (original !== undefined && scope.WebSocket === proxy) scope.WebSocket = original
  proxy = undefined
}
