import { afterAll, expect, test } from 'vitest'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { cannyEdges } from './canny.ts'
import { PictureThread } from './picture-thread.ts'

const thread = new PictureThread()
afterAll(() => thread.dispose())

function picture(width: number, height: number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i * i) >> 5) % 251)
  return { width, height, data }
}

const isSame = (a: { readonly data: Uint8Array }, b: { readonly data: Uint8Array }) =>
  Buffer.compare(a.data, b.data) === 0

test.each([
  [64, 48],
  [900, 700],
])('%i×%i pictures come out as they do on this thread', async (width, height) => {
  const image = picture(width, height)
  expect(isSame(await thread.canny(image, 40, 90), cannyEdges(image, 40, 90))).toBe(true)
  const smaller = await thread.resize(image, 30, 20, 'bilinear')
  expect(smaller).toMatchObject({ width: 30, height: 20 })
  expect(isSame(smaller, resizeRgb(image, 30, 20, 'bilinear'))).toBe(true)
  expect(image.data.length).toBe(width * height * 3)
})

test('this thread goes on meanwhile', async () => {
  const image = picture(1500, 1200)
  let turns = 0
  const turning = setInterval(() => turns++, 1)
  const edges = await thread.canny(image)
  clearInterval(turning)
  expect(edges.data.length).toBe(1500 * 1200)
  expect(turns).toBeGreaterThan(1)
})

test('what fails there fails here, and the next picture is worked on', async () => {
  const image = picture(900, 700)
  await expect(thread.resize(image, 0, 20, 'bilinear')).rejects.toThrow(/cannot work on the picture/)
  expect((await thread.canny(image)).width).toBe(900)
})

test('a thread that is disposed of rejects what it had', async () => {
  const other = new PictureThread()
  const failed = expect(other.canny(picture(900, 700))).rejects.toThrow('was disposed of')
  await other.dispose()
  await failed
})
