import { expect, it } from 'vitest'
import { crop, cropCentre } from './crop.ts'

/** 4x3 pixels whose red is the column and green the row. */
const IMAGE = {
  width: 4,
  height: 3,
  data: Uint8Array.from({ length: 36 }, (_, i) => [Math.floor(i / 3) % 4, Math.floor(i / 12), 9][i % 3] as number),
}

it('cuts out a rectangle', () => {
  expect(crop(IMAGE, 2, 1, 2, 2)).toEqual({
    width: 2,
    height: 2,
    data: Uint8Array.from([2, 1, 9, 3, 1, 9, 2, 2, 9, 3, 2, 9]),
  })
})

it('cuts out the middle, an odd margin smaller at the left and the top', () => {
  expect([...cropCentre(IMAGE, 1, 2).data]).toEqual([1, 0, 9, 1, 1, 9])
})

it('refuses a rectangle that leaves the picture', () => {
  expect(() => crop(IMAGE, 3, 0, 2, 1)).toThrow('cannot crop 2x1 at (3, 0) from a picture of 4x3')
  expect(() => cropCentre(IMAGE, 5, 1)).toThrow(RangeError)
})
