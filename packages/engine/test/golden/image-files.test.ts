import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { decodeImage } from '../../src/image/decode.ts'
import golden from './data/image-files/expected.json' with { type: 'json' }

it.each(golden.files)('reads $name like Pillow', async ({ name, width, height, tolerance, rgb }) => {
  const image = await decodeImage(await readFile(join(import.meta.dirname, 'data/image-files', name)))
  const expected = inflateSync(Buffer.from(rgb, 'base64'))
  expect([image.width, image.height, image.data.length]).toEqual([width, height, expected.length])
  const differences = Array.from(expected, (value, i) => Math.abs(value - (image.data[i] as number)))
  expect(Math.max(...differences)).toBeLessThanOrEqual(tolerance)
})
