import { expect, it } from 'vitest'
import { float32 } from '../tensor/tensor.ts'
import { greyToTensor, rgbToTensor, tensorToRgb } from './picture-tensor.ts'

const IMAGE = { width: 2, height: 1, data: Uint8Array.from([0, 51, 102, 153, 204, 255]) }

it('puts the channels in planes', () => {
  const { shape, data } = rgbToTensor(IMAGE, 'unit')
  expect(shape).toEqual([1, 3, 1, 2])
  expect([...data]).toEqual([0, 0.6, 0.2, 0.8, 0.4, 1].map(Math.fround))
})

it('spans -1 to 1 for a VAE', () => {
  const { shape, data } = greyToTensor({ width: 3, height: 1, data: Uint8Array.from([0, 51, 255]) }, 'signed')
  expect(shape).toEqual([1, 1, 1, 3])
  expect([...data]).toEqual([-1, Math.fround(2 * Math.fround(0.2) - 1), 1])
})

it('puts grey 127 at exactly 0 for IC-Light', () => {
  const { data } = greyToTensor({ width: 3, height: 1, data: Uint8Array.from([0, 127, 255]) }, 'signed-127')
  expect([...data]).toEqual([-1, 0, Math.fround(Math.fround(255 / 127) - 1)])
})

it('gives back the picture it was made from', () => {
  expect(tensorToRgb(rgbToTensor(IMAGE, 'signed'))).toEqual([IMAGE])
})

it('clamps what a decoder overshoots, and turns NaN black', () => {
  const decoded = float32([1, 3, 1, 1], Float32Array.from([-7, Number.NaN, Number.POSITIVE_INFINITY]))
  expect([...(tensorToRgb(decoded)[0]?.data ?? [])]).toEqual([0, 0, 255])
})

it('refuses latents', () => {
  expect(() => tensorToRgb(float32([1, 4, 8, 8]))).toThrow('[batch, 3, height, width], got [1,4,8,8]')
})
