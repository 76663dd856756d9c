import { decode } from '@msgpack/msgpack'
import { describe, expect, it } from 'vitest'
import { encodeOutput } from './realtime-frames.ts'

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
    expect(roundTrip({ nothing: undefined, images: [{ content: Uint8Array.of(1) }] })).toEqual({
      images: [{ content: Uint8Array.of(1) }],
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
