import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
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

  it('says of HEIC what to send instead', async () => {
    const { message } = await failure(new Uint8Array(Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1')))
    expect(message).toMatch(/^HEIC pictures are not read, because their codec is patented; send JPEG, PNG, /)
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
      expect(message).toBe('the file is no JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP, ICO or PNM picture')
    },
  )

  it.each([
    'rgb.bmp',
    'rle8.bmp',
    'four-bit.bmp',
    '565.bmp',
    'bitmap.ico',
    'png.ico',
    'rgb.ppm',
    'text.ppm',
    'text.pbm',
  ])('refuses %s cut off anywhere', async (name) => {
    const file = new Uint8Array(await readFile(join(FILES, name)))
    // The last byte of a text file is its line's end.
    for (let length = 12; length < file.length - 2; length += 41) {
      expect((await failure(file.subarray(0, length))).reason).toBe('unreadable')
    }
  })

  it.each([
    ['a PNM of more pixels than are read', 'P6 16000 4001 255\n', 'too_large'],
    ['a PNM that announces what is not there', 'P3 8000 8000 255\n1 2 3', 'unreadable'],
    ['a PNM of no size', 'P5 0 9 255\n', 'unreadable'],
    ['a BMP of more pixels than are read', bmpHeader(16_000, 4_001), 'too_large'],
    ['a BMP that announces what is not there', bmpHeader(8_000, -8_000), 'unreadable'],
    ['a BMP of a negative width', bmpHeader(-8, 8), 'unreadable'],
    ['an icon without pictures', '\0\0\x01\0\0\0', 'unreadable'],
  ])('refuses %s', async (_, text, reason) => {
    expect((await failure(new Uint8Array(Buffer.from(text, 'latin1')))).reason).toBe(reason)
  })
})

const FILES = join(import.meta.dirname, '../../test/golden/data/image-files')

function bmpHeader(width: number, height: number): string {
  const header = Buffer.alloc(54)
  header.write('BM', 'latin1')
  header.writeUInt32LE(54, 10)
  header.writeUInt32LE(40, 14)
  header.writeInt32LE(width, 18)
  header.writeInt32LE(height, 22)
  header.writeUInt16LE(24, 28)
  return header.toString('latin1')
}
