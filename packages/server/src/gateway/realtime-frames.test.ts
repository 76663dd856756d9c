import { decode, encode } from '@msgpack/msgpack'
import { describe, expect, it } from 'vitest'
import { decodeFrame, encodeOutput } from './realtime-frames.ts'

const roundTrip = (output: unknown) => decode(encodeOutput(output, true) as Uint8Array, { useBigInt64: true })

describe('encodeOutput', () => {
  it('writes integers as integers of the size they need, and nothing else as one', () => {
    const output = { wide: 2 ** 40, negative: -(2 ** 40), seed: 2n ** 64n - 1n, small: 7n, fraction: 0.5, huge: 1e300 }
    expect(roundTrip(output)).toEqual({
      wide: 2n ** 40n,
      negative: -(2n ** 40n),
      seed: 2n ** 64n - 1n,
      small: 7,
      fraction: 0.5,
      huge: 1e300,
    })
  })

  it('leaves out what has no value, and keeps bytes', () => {
    expect(roundTrip({ nothing: undefined, mask: Uint8Array.of(1) })).toEqual({ mask: Uint8Array.of(1) })
  })

  it('gives a picture of a binary frame its bytes and a URL', () => {
    const picture = { content: Uint8Array.of(1), width: 1, height: 2, content_type: 'image/jpeg' }
    const stored = { ...picture, url: 'http://127.0.0.1/a.jpg' }
    expect(roundTrip({ images: [picture, stored] })).toEqual({
      images: [{ ...picture, url: 'data:image/jpeg;base64,AQ==' }, stored],
    })
  })

  it('writes bytes into JSON as data URIs', () => {
    const output = {
      images: [{ content: Uint8Array.of(1), content_type: 'image/png', width: 1 }],
      raw: Uint8Array.of(2),
    }
    expect(JSON.parse(encodeOutput(output, false) as string)).toEqual({
      images: [{ url: 'data:image/png;base64,AQ==', content_type: 'image/png', width: 1 }],
      raw: 'data:application/octet-stream;base64,Ag==',
    })
  })
})

describe('decodeFrame', () => {
  const DEEP = 100_000
  const lists = new Uint8Array(DEEP + 1).fill(0x91)
  lists[DEEP] = 1

  it.each([
    ['lists of MessagePack', { data: lists, binary: true }],
    ['objects of JSON', { data: Buffer.from(`${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`), binary: false }],
    ['bytes that are none of both', { data: Uint8Array.of(0xc1), binary: true }],
  ])('refuses %s with 422', (_, frame) => {
    expect(() => decodeFrame(frame)).toThrow(expect.objectContaining({ status: 422 }))
  })

  it('reads what is as deep as JSON may be', () => {
    const input = { a: { b: [{ c: 1 }] }, request_id: 'r' }
    expect(decodeFrame({ data: encode(input), binary: true })).toEqual({ input, requestId: 'r' })
  })
})
