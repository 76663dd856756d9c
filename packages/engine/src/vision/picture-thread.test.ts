import { afterAll, expect, test } from 'vitest'
import { decodeImage } from '../image/decode.ts'
import { encodeImage } from '../image/encode.ts'
import { greyToRgb } from '../image/grey.ts'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { cannyEdges } from './canny.ts'
import { depthImage } from './depth-image.ts'
import { PictureThread } from './picture-thread.ts'
import type { Pose } from './pose.ts'
import { drawPoseMask, drawPoses } from './pose-drawing.ts'

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
  expect(isSame(await thread.canny(image, 40, 90), greyToRgb(cannyEdges(image, 40, 90)))).toBe(true)
  const smaller = await thread.resize(image, 30, 20, 'bilinear')
  expect(smaller).toMatchObject({ width: 30, height: 20 })
  expect(isSame(smaller, resizeRgb(image, 30, 20, 'bilinear'))).toBe(true)
  expect(image.data.length).toBe(width * height * 3)
})

test.each([
  [64, 48],
  [900, 700],
])('depth maps and poses of %i×%i pixels are drawn as on this thread', async (width, height) => {
  const size = { width, height }
  const map = { width: 24, height: 16, data: Float32Array.from({ length: 24 * 16 }, (_, i) => (i * i) % 101) }
  const points = (count: number) => Array.from({ length: count }, (_, i) => ({ x: 5 + 2 * i, y: 40 - i }))
  const pose: Pose = { body: points(18), leftHand: points(21), rightHand: [], face: [undefined, ...points(20)] }
  const depth = await thread.depthImage(map, size)
  expect(depth).toMatchObject(size)
  expect(isSame(depth, depthImage(map, size))).toBe(true)
  const drawn = await thread.drawPoses([pose], size, ['body', 'face'])
  expect(isSame(drawn, drawPoses([pose], size, ['body', 'face']))).toBe(true)
  expect(drawn.data.some((byte) => byte > 0)).toBe(true)
  const mask = await thread.drawPoseMask([pose], size, ['hands'])
  expect(isSame(mask, drawPoseMask([pose], size, ['hands']))).toBe(true)
  expect(mask.data.some((byte) => byte > 0)).toBe(true)
  // As shared as what is decoded: they are resampled and written to files without a copy here.
  expect(isSame(await decodeImage(await encodeImage(depth, 'png')), depth)).toBe(true)
})

test('this thread goes on meanwhile', async () => {
  const image = picture(1500, 1200)
  let turns = 0
  const turning = setInterval(() => turns++, 1)
  const edges = await thread.canny(image)
  clearInterval(turning)
  expect(edges.data.buffer).toBeInstanceOf(SharedArrayBuffer)
  expect(edges.data.length).toBe(1500 * 1200 * 3)
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

test.each([
  [64, 48],
  [900, 700],
])(
  'files of %i×%i pixels are read as on this thread, and what is read is resampled there too',
  async (width, height) => {
    const file = await encodeImage(picture(width, height), 'png')
    const image = await thread.decode(file)
    expect(isSame(image, await decodeImage(file))).toBe(true)
    expect(isSame(await thread.resize(image, 30, 20, 'lanczos'), resizeRgb(image, 30, 20, 'lanczos'))).toBe(true)
    expect(isSame(await thread.canny(image), greyToRgb(cannyEdges(image)))).toBe(true)
    expect(file.length).toBeGreaterThan(0)
  },
)

test('nothing of a large picture that was read is copied to be worked on', async () => {
  const image = await thread.decode(await encodeImage(picture(900, 700), 'png'))
  expect(image.data.buffer).toBeInstanceOf(SharedArrayBuffer)
})

test('a file that cannot be read is refused as on this thread', async () => {
  const file = (await encodeImage(picture(900, 700), 'png')).subarray(0, 9_000)
  await expect(thread.decode(file)).rejects.toMatchObject({ name: 'ImageDecodeError', reason: 'unreadable' })
  await expect(thread.decode(Uint8Array.from([1, 2, 3]))).rejects.toMatchObject({ reason: 'unreadable' })
})

test('a picture of the usual size does not wait for the largest', async () => {
  const largest: RgbImage = { width: 5_000, height: 3_400, data: new Uint8Array(5_000 * 3_400 * 3) }
  const order: string[] = []
  const huge = thread.canny(largest).then(() => order.push('largest'))
  await thread.resize(picture(900, 700), 30, 20, 'lanczos').then(() => order.push('usual'))
  await huge
  expect(order).toEqual(['usual', 'largest'])
})
