import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Attack, count, endsAfter, type Outcomes, type Scale, type Target } from './target.ts'

/** Opens sockets that do as they are told until the time is over, and counts how each of them ended. */
async function hold(
  sockets: number,
  { port }: Target,
  { seconds }: Scale,
  signal: AbortSignal,
  play: (socket: Socket) => (() => void) | undefined,
): Promise<Outcomes> {
  const outcomes: Outcomes = {}
  const over = endsAfter(seconds, signal)
  const open = Array.from({ length: sockets }, () => connect(port, '127.0.0.1'))
  const timers: NodeJS.Timeout[] = []
  for (const socket of open) {
    socket.on('error', () => {})
    socket.once('connect', () => {
      const drip = play(socket)
      if (drip !== undefined) timers.push(setInterval(() => socket.writable && drip(), 1000))
    })
  }
  await sleep(seconds * 1000, undefined, { signal: over }).catch(() => {})
  for (const timer of timers) clearInterval(timer)
  for (const socket of open) {
    count(outcomes, socket.destroyed || !socket.writable ? 'cut by the server' : 'held to the end')
    socket.destroy()
  }
  await Promise.all(open.map((socket) => (socket.closed ? undefined : once(socket, 'close'))))
  return outcomes
}

const post = ({ authorization }: Target, length: number) =>
  `POST /run/fal-ai/fast-lcm-diffusion HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${authorization}\r\n` +
  `content-type: application/json\r\ncontent-length: ${length}\r\n`

/** One header byte a second. */
export const slowHeaders: Attack = (target, scale, signal) =>
  hold(scale.slowSockets, target, scale, signal, (socket) => {
    socket.write(post(target, 10))
    return () => socket.write('x')
  })

/** One byte of the body a second. */
export const slowBodies: Attack = (target, scale, signal) =>
  hold(scale.slowSockets, target, scale, signal, (socket) => {
    socket.write(`${post(target, 1_000_000)}\r\n{"prompt":"`)
    return () => socket.write('a')
  })

/** Asks for the listing, again and again, and reads nothing of it. */
export const slowReaders: Attack = (target, scale, signal) =>
  hold(scale.slowSockets, target, scale, signal, (socket) => {
    socket.pause()
    const path = '/v1/models/requests/by-endpoint?endpoint_id=fal-ai/fast-lcm-diffusion&limit=100&expand=payloads'
    const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${target.authorization}\r\n\r\n`
    socket.write(request.repeat(8))
    return undefined
  })

/** Connections that say nothing. */
export const idleSockets: Attack = (target, scale, signal) =>
  hold(scale.idleSockets, target, scale, signal, () => undefined)
