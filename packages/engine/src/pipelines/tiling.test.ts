import { expect, test } from 'vitest'
import type { UNetAdapter, UNetInput } from '../adapters/unet-adapter.ts'
import { float32 } from '../tensor/tensor.ts'
import { predictTiled, type Tiling, tileWindows } from './tiling.ts'
import type { UNet } from './unet.ts'

const tiling = (tile: number, stride: number): Tiling => ({
  tileWidth: tile,
  tileHeight: tile,
  tileStrideWidth: stride,
  tileStrideHeight: stride,
})
const lefts = (width: number, tile: number, stride: number) =>
  tileWindows({ height: 1, width }, tiling(tile * 8, stride * 8), 8).map((window) => window.left)

test('windows step by the stride, and the last is flush with the border', () => {
  expect(lefts(10, 4, 3)).toEqual([0, 3, 6])
  expect(lefts(11, 4, 3)).toEqual([0, 3, 6, 7])
  expect(lefts(4, 4, 3)).toEqual([0])
  expect(lefts(5, 4, 4)).toEqual([0, 1])
})

test('a picture smaller than the tile is one window, which is the picture', () => {
  expect(tileWindows({ height: 6, width: 9 }, tiling(4096, 2048), 8)).toEqual([
    { top: 0, left: 0, height: 6, width: 9 },
  ])
  expect(tileWindows({ height: 6, width: 9 }, undefined, 8)).toEqual([{ top: 0, left: 0, height: 6, width: 9 }])
})

test('sizes are rounded down to latents, but not to nothing', () => {
  expect(
    tileWindows({ height: 2, width: 3 }, tiling(130, 20), 64).map(({ top, left, width }) => [top, left, width]),
  ).toEqual([
    [0, 0, 2],
    [0, 1, 2],
  ])
})

test('a stride beyond its tile is refused by name', () => {
  expect(() => tileWindows({ height: 9, width: 9 }, { ...tiling(512, 256), tileStrideHeight: 1024 }, 8)).toThrow(
    'tileStrideHeight: must be at most tileHeight 512, got 1024',
  )
})

test('predictions of windows are averaged where they overlap', async () => {
  const seen: string[] = []
  const unet = {
    predict: async ({ sample }: UNetInput, _: readonly UNetAdapter[], { window }: { window: { left: number } }) => {
      seen.push(`${window.left}:${[...sample.data]}`)
      return float32(
        [1, 2, 1, 2],
        sample.data.map((value) => value + 10 * (1 + window.left)),
      )
    },
  } as unknown as UNet
  const input = { sample: float32([1, 2, 1, 3], Float32Array.of(1, 2, 3, 4, 5, 6)) } as unknown as UNetInput
  const windows = tileWindows({ height: 1, width: 3 }, tiling(2, 1), 1)
  const step = { step: 0, steps: 1, latentSize: { height: 1, width: 3 } }
  const { shape, data } = await predictTiled(unet, input, [], step, windows)
  expect(seen).toEqual(['0:1,2,4,5', '1:2,3,5,6'])
  expect(shape).toEqual([1, 2, 1, 3])
  expect([...data]).toEqual([11, 17, 23, 14, 20, 26])
})
