import { once } from 'node:events'
import { connect } from 'node:net'
import { type Attack, count, many, type Outcomes, type Target } from './target.ts'

async function initiate({ url, authorization }: Target, signal: AbortSignal): Promise<URL> {
  const response = await fetch(`${url}/rest/storage/upload/initiate?storage_type=fal-cdn-v3`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ file_name: 'a.bin', content_type: 'application/octet-stream' }),
    signal,
  })
  const { upload_url: target } = (await response.json()) as { upload_url: string }
  return new URL(target)
}

/** Small files, many of them. */
export const smallUploads: Attack = async (target, { uploads }, signal) => {
  const outcomes: Outcomes = {}
  await many(uploads, 32, signal, async () => {
    try {
      const response = await fetch(await initiate(target, signal), {
        method: 'PUT',
        body: Buffer.alloc(1000, 1),
        signal,
      })
      await response.arrayBuffer()
      count(outcomes, String(response.status))
    } catch {
      count(outcomes, 'no answer')
    }
  })
  return outcomes
}

/** Files whose sender leaves in the middle. */
export const abortedUploads: Attack = async (target, { abortedUploads: times }, signal) => {
  const outcomes: Outcomes = {}
  await many(times, 16, signal, async () => {
    try {
      const { pathname, search } = await initiate(target, signal)
      const socket = connect(target.port, '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect', { signal })
      socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000\r\n\r\n`)
      socket.write(Buffer.alloc(300_000, 1), () => socket.destroy())
      await once(socket, 'close', { signal })
      count(outcomes, 'left')
    } catch {
      count(outcomes, 'no answer')
    }
  })
  return outcomes
}
