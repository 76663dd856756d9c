import { expect, it } from 'vitest'
import { binarize, greyToRgb, rgbToGrey } from './grey.ts'

it('weighs the channels as ITU-R 601-2', () => {
  const image = { width: 4, height: 1, data: Uint8Array.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 7, 7, 7]) }
  expect([...rgbToGrey(image).data]).toEqual([76, 150, 29, 7])
})

it('repeats the channel', () => {
  expect([...greyToRgb({ width: 2, height: 1, data: Uint8Array.from([3, 200]) }).data]).toEqual([
    3, 3, 3, 200, 200, 200,
  ])
})

it('cuts a mask at one half', () => {
  expect([...binarize({ width: 3, height: 1, data: Uint8Array.from([1, 127, 128]) }).data]).toEqual([0, 0, 255])
})
