import sharp from 'sharp'
import { expect, it } from 'vitest'
import { encodeImage } from './encode.ts'

const IMAGE = { width: 3, height: 2, data: Uint8Array.from({ length: 18 }, (_, i) => (i * 97) % 256) }

it('writes a PNG with every byte', async () => {
  const { data, info } = await sharp(await encodeImage(IMAGE, 'png'))
    .raw()
    .toBuffer({ resolveWithObject: true })
  expect(info).toMatchObject({ width: 3, height: 2, channels: 3 })
  expect([...data]).toEqual([...IMAGE.data])
})

it('writes a baseline JPEG with 4:2:0 chroma', async () => {
  expect(await sharp(await encodeImage(IMAGE, 'jpeg')).metadata()).toMatchObject({
    format: 'jpeg',
    chromaSubsampling: '4:2:0',
    isProgressive: false,
  })
})
