import { expect, it } from 'vitest'
import { resizeGrey, resizeRgb } from './resize.ts'
import { blackImage } from './rgb-image.ts'

it('keeps a constant picture constant', () => {
  const image = { width: 5, height: 4, data: new Uint8Array(20).fill(201) }
  for (const filter of ['nearest', 'box', 'bilinear', 'bicubic', 'lanczos'] as const) {
    expect([...resizeGrey(image, 11, 3, filter).data]).toEqual(new Array(33).fill(201))
  }
})

it('keeps the channels apart', () => {
  const image = { width: 2, height: 2, data: Uint8Array.from([10, 20, 30, 10, 20, 30, 10, 20, 30, 10, 20, 30]) }
  expect([...resizeRgb(image, 3, 1, 'lanczos').data]).toEqual([10, 20, 30, 10, 20, 30, 10, 20, 30])
})

it('hands out a copy where the size stays', () => {
  const image = blackImage(2, 2)
  const same = resizeRgb(image, 2, 2, 'lanczos')
  same.data[0] = 1
  expect(image.data[0]).toBe(0)
})

it.each([
  [0, 3],
  [3, -1],
  [2.5, 2],
])('refuses the size %sx%s', (width, height) => {
  expect(() => resizeRgb(blackImage(2, 2), width, height, 'nearest')).toThrow(RangeError)
})
