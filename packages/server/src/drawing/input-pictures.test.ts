import { encodeImage, PictureThread, type RgbImage } from '@darkroom/engine'
import { expect, it } from 'vitest'
import type { WireError } from '../errors/errors.ts'
import { readPictures } from './input-pictures.ts'

const plain = (width: number, height: number, value: number): RgbImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
})

const files: Readonly<Record<string, Uint8Array>> = {
  grey: await encodeImage(plain(4, 3, 90), 'png'),
  white: await encodeImage(plain(2, 2, 255), 'png'),
  // A run-length bitmap of 64 million pixels that has none.
  vast: vastBitmap(),
  text: new TextEncoder().encode('no picture'),
}

function vastBitmap(): Uint8Array {
  const file = Buffer.alloc(1080)
  file.write('BM')
  for (const [at, value] of [
    [10, 1078],
    [14, 40],
    [18, 8000],
    [22, 8000],
    [28, 8],
    [30, 1],
  ] as const) {
    file.writeUInt32LE(value, at)
  }
  file[1079] = 1
  return file
}

/** Starts no thread for pictures as small as these. */
const reader = { pictures: new PictureThread() }

function contextOf() {
  const fetched: string[] = []
  const reserved: number[] = []
  const context = {
    readFile: async (url: string) => {
      fetched.push(url)
      return files[url] ?? new Uint8Array()
    },
    reserveMemory: async (bytes: number) => void reserved.push(bytes),
  }
  return { context, fetched, reserved }
}

it('reads each URL once and asks for the memory of all pictures at once', async () => {
  const { context, fetched, reserved } = contextOf()
  const pictures = await readPictures(
    reader,
    [
      { field: ['image_url'], source: 'grey' },
      { field: ['controlnets', 0, 'image_url'], source: 'white' },
      { field: ['mask_url'], source: 'grey' },
      { field: ['image_bytes'], source: files.white as Uint8Array },
    ],
    context,
  )
  expect(fetched).toEqual(['grey', 'white'])
  expect(reserved).toEqual([(12 + 4 + 4) * 3])
  expect(pictures.at('mask_url')).toEqual(plain(4, 3, 90))
  expect(pictures.at('controlnets', 0, 'image_url')).toEqual(plain(2, 2, 255))
  expect(pictures.at('image_bytes')).toEqual(plain(2, 2, 255))
  expect(pictures.find('ic_light_image_url')).toBeUndefined()
})

it('names the field of what is no picture, before it asks for memory', async () => {
  const { context, reserved } = contextOf()
  const reading = readPictures(reader, [{ field: ['controlnets', 3, 'image_url'], source: 'text' }], context)
  const error = await reading.catch((reason: WireError) => reason)
  expect(error).toMatchObject({
    status: 422,
    detail: [{ loc: ['body', 'controlnets', 3, 'image_url'], type: 'image_load_error' }],
  })
  expect(reserved).toEqual([])
})

it('refuses pictures that are legal alone and too large together', async () => {
  const { context, reserved } = contextOf()
  const vast = Array.from({ length: 3 }, (_, i) => ({
    field: ['controlnets', i, 'image_url'],
    source: Uint8Array.from(files.vast ?? []),
  }))
  const error = await readPictures(reader, vast, context).catch((reason: WireError) => reason)
  expect(error).toMatchObject({
    status: 422,
    detail: [{ loc: ['body', 'controlnets', 2, 'image_url'], type: 'image_load_error' }],
  })
  expect(reserved).toEqual([])
})
