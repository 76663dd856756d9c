import { once } from 'node:events'
import { encode } from '@msgpack/msgpack'
import { WebSocket } from 'ws'
import { type Attack, count, many, type Outcomes, type Target } from './target.ts'

/** Sends one message on a socket of its own and counts what comes back: an answer, an error, or the end of the connection. */
async function send(
  { port, authorization }: Target,
  path: string,
  message: string | Uint8Array,
  outcomes: Outcomes,
  signal: AbortSignal,
): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { authorization } })
  try {
    await once(socket, 'open', { signal })
    socket.send(message)
    const [answer] = await once(socket, 'message', { signal })
    count(outcomes, String(answer).includes('x-fal-error') ? 'refused frame' : 'answered frame')
  } catch {
    count(outcomes, 'closed frame')
  } finally {
    socket.on('error', () => {})
    socket.terminate()
  }
}

/** Messages of millions of characters and values, on realtime sockets and on those that carry HTTP. */
export const hugeFrames: Attack = async (target, { hugeFields: times, hugeBytes }, signal) => {
  const outcomes: Outcomes = {}
  const text = 'a '.repeat(hugeBytes / 2)
  const keys = Object.fromEntries(Array.from({ length: hugeBytes / 16 }, (_, i) => [`k${i}`, 1]))
  const realtime = '/run/fal-ai/fast-lcm-diffusion/realtime'
  const small = { image_size: { width: 64, height: 64 }, num_inference_steps: 1, enable_safety_checker: false }
  const messages: readonly (readonly [path: string, message: string | Uint8Array])[] = [
    [realtime, encode({ prompt: text })],
    [realtime, encode({ prompt: 'a', ...small, ...keys })],
    [realtime, encode({ prompt: 'a', ...small, image_bytes: new Uint8Array(hugeBytes) })],
    [realtime, JSON.stringify({ prompt: 'a', ...small, comment: text, ...keys })],
    ['/ws/fal-ai/fast-lcm-diffusion', JSON.stringify({ prompt: text })],
  ]
  await many(times, 8, signal, async (i) => {
    const [path, message] = messages[i % messages.length] ?? [realtime, '{}']
    await send(target, path, message, outcomes, signal)
  })
  return outcomes
}
