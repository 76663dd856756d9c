import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { decodeImage, ImageDecodeError } from './decode.ts'
import { encodeImage } from './encode.ts'

const IMAGE = { width: 40, height: 30, data: Uint8Array.from({ length: 3600 }, (_, i) => (i * i) % 251) }

/** A PNG whose header announces a size and whose pixel data ends after a few bytes. */
function pngOfSize(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const chunk = (type: string, data: Uint8Array) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(data.length)
    const body = Buffer.concat([Buffer.from(type), data])
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(9))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

async function failure(file: Uint8Array): Promise<ImageDecodeError> {
  const error = await decodeImage(file).catch((error) => error)
  expect(error).toBeInstanceOf(ImageDecodeError)
  return error
}

describe('decodeImage', () => {
  it('reads what encodeImage writes', async () => {
    expect(await decodeImage(await encodeImage(IMAGE, 'png'))).toEqual(IMAGE)
  })

  it('drops alpha without compositing', async () => {
    const pixel = sharp(Uint8Array.from([10, 200, 30, 0]), { raw: { width: 1, height: 1, channels: 4 } })
    expect([...(await decodeImage(await pixel.png().toBuffer())).data]).toEqual([10, 200, 30])
  })

  it('refuses more than 64 million pixels, naming the size', async () => {
    const error = await failure(pngOfSize(16_000, 4_001))
    expect(error.reason).toBe('too_large')
    expect(error.message).toBe('the picture has 16000x4001 pixels; at most 64 million are read')
    expect((await failure(pngOfSize(16_000, 4_000))).reason).toBe('unreadable')
  })

  it.each(['png', 'jpeg'] as const)('refuses a %s that is cut off', async (format) => {
    const file = await encodeImage(IMAGE, format)
    const { reason, message } = await failure(file.subarray(0, Math.floor(file.length * 0.9)))
    expect(reason).toBe('unreadable')
    expect(message).toMatch(/^the picture is damaged or incomplete: /)
  })

  it.each(['', 'no picture', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'])(
    'refuses %j',
    async (text) => {
      const { reason, message } = await failure(new TextEncoder().encode(text))
      expect(reason).toBe('unreadable')
      expect(message).toBe('the file is no JPEG, PNG, WebP, GIF, AVIF or TIFF picture')
    },
  )
})
