import type { Worker } from 'node:worker_threads'
import { encode } from '@msgpack/msgpack'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { InputThreads } from './input-thread.ts'

const NEVER = new AbortController().signal
const JSON_TYPE = 'application/json'
/** More than is read without a thread. */
const PADDING = 'x'.repeat(100_000)

let inputs: InputThreads

beforeEach(() => {
  inputs = new InputThreads()
})
afterEach(() => inputs.close())

const fields = ['__proto__', 'seed', 'float', 'lone', 'pad', 'image_url', 'image_bytes', 'list', 'prompt', 'x']

const body = (text: string, wanted: 'text' | 'value' = 'value', mostText?: number) => ({
  data: new Uint8Array(new TextEncoder().encode(text)),
  contentType: JSON_TYPE,
  wanted,
  fields,
  ...(mostText !== undefined && { mostText }),
})

describe('InputThreads', () => {
  it('reads long bodies as short ones: integers, floats, odd keys and lone surrogates', async () => {
    const text = `{"__proto__": 1, "seed": 18446744073709551615, "float": 2.0, "lone": "\\ud800", "pad": "${PADDING}"}`
    const input = await inputs.readBody('a', body(text), NEVER)
    expect(input.text).toBe(text)
    const value = input.value as Record<string, unknown>
    expect(Object.entries(value)).toEqual([
      ['__proto__', 1n],
      ['seed', 18446744073709551615n],
      ['float', 2],
      ['lone', '\ud800'],
      ['pad', PADDING],
    ])
  })

  it('keeps the text of what is stored, and of its value what may be a URL', async () => {
    const text = JSON.stringify({ image_url: `data:image/png;base64,${PADDING}`, list: ['https://x.test/a.png', 1] })
    const input = await inputs.readBody('a', body(text, 'text'), NEVER)
    expect(input.text).toBe(text)
    expect(input.value).toEqual({ image_url: expect.stringMatching(/^data:image/), list: ['https://x.test/a.png', 1n] })
    expect((input.value as { image_url: string }).image_url.length).toBeLessThan(20_000)
  })

  it('leaves out a text that nobody keeps', async () => {
    const text = JSON.stringify({ prompt: PADDING })
    expect(await inputs.readBody('a', body(text, 'value', 50_000), NEVER)).toMatchObject({
      text: '',
      value: { prompt: PADDING },
    })
    expect((await inputs.readBody('a', body(text, 'value', 200_000), NEVER)).text).toBe(text)
  })

  it('leaves members behind that nobody asks for, but in the text', async () => {
    const text = JSON.stringify({ prompt: PADDING, unknown: [1], seed: 1 })
    for (const wanted of ['text', 'value'] as const) {
      const input = await inputs.readBody('a', body(text, wanted), NEVER)
      expect(Object.keys(input.value as object)).toEqual(['seed', 'prompt'])
      expect(input.text).toBe(text)
    }
  })

  it('refuses as without a thread', async () => {
    const broken = body(`{"a": "${PADDING}" x}`)
    await expect(inputs.readBody('a', broken, NEVER)).rejects.toMatchObject({
      status: 422,
      detail: [expect.objectContaining({ loc: ['body', 100_009], type: 'value_error.jsondecode' })],
    })
    const keys = Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`)
    await expect(inputs.readBody('a', body(`{${keys}}`), NEVER)).rejects.toMatchObject({ status: 400 })
  })

  it('reads long frames of both kinds, with their bytes', async () => {
    const value = { image_bytes: new Uint8Array(80_000).fill(7), request_id: 'r' }
    const binary = await inputs.readFrame('a', { data: new Uint8Array(encode(value)), binary: true, fields }, NEVER)
    expect(binary).toEqual({ input: { image_bytes: value.image_bytes }, requestId: 'r' })
    const data = new TextEncoder().encode(JSON.stringify({ prompt: PADDING, request_id: 's' }))
    const text = await inputs.readFrame('a', { data, binary: false, fields }, NEVER)
    expect(text).toMatchObject({ input: { value: { prompt: PADDING } }, requestId: 's' })
    await expect(
      inputs.readFrame('a', { data: new Uint8Array(80_000).fill(0xc1), binary: true, fields }, NEVER),
    ).rejects.toMatchObject({ status: 422 })
  })

  it('warms up once, and reads with what is warm', async () => {
    const started: Worker[] = []
    process.on('worker', (worker) => started.push(worker))
    await Promise.all([inputs.warmUp(), inputs.warmUp()])
    await inputs.warmUp()
    expect((await inputs.readBody('a', body(`{"pad": "${PADDING}"}`), NEVER)).value).toEqual({ pad: PADDING })
    process.removeAllListeners('worker')
    expect(started).toHaveLength(1)
  })

  it('starts no thread once it is closed', async () => {
    const warm = inputs.warmUp()
    await inputs.close()
    await expect(warm).rejects.toThrow('the server has stopped')
  })

  it('lets the event loop go on while it reads', async () => {
    let rounds = 0
    const timer = setInterval(() => {
      rounds += 1
    }, 1)
    const deep = `{"x":"${'\\"'.repeat(4_000_000)}"}`
    const { text } = await inputs.readBody('a', body(deep), NEVER)
    clearInterval(timer)
    expect(text.length).toBe(deep.length)
    expect(rounds).toBeGreaterThan(5)
  })

  it('has one long input of an account read at a time, and another account’s beside it', async () => {
    const order: string[] = []
    const long = `{"x":"${'\\"'.repeat(4_000_000)}"}`
    const leaving = new AbortController()
    const first = inputs.readBody('greedy', body(long), NEVER).then(() => order.push('greedy'))
    const second = inputs.readBody('greedy', body(long), leaving.signal)
    const other = inputs.readBody('honest', body(`{"x":"${PADDING}"}`), NEVER).then(() => order.push('honest'))
    leaving.abort(new Error('the client left'))
    await expect(second).rejects.toThrow('the client left')
    await Promise.all([first, other])
    expect(order.sort()).toEqual(['greedy', 'honest'])
  })
})
