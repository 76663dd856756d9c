import { expect, test } from 'vitest'
import type { Shape } from '../tensor/tensor.ts'
import { detectImageProjection, projectionSources } from './image-projection-config.ts'

/** The keys of IP-Adapter Plus's resampler, which InstantID's has too, for features of so many channels. */
function resamplerShapes(channels: number): ReadonlyMap<string, Shape> {
  return new Map<string, Shape>([
    ['latents', [1, 16, 1280]],
    ['proj_in.weight', [1280, channels]],
    ['proj_out.weight', [2048, 1280]],
    ['layers.0.0.to_q.weight', [1280, 1280]],
  ])
}

test.each([
  ['of SD1.5’s vision encoder', 1280, { pictures: true, faces: false }],
  ['of SDXL’s', 1664, { pictures: true, faces: false }],
  ['of a network that tells faces apart (InstantID)', 512, { pictures: false, faces: true }],
])('a resampler %s', (_, channels, sources) => {
  expect(projectionSources(detectImageProjection(resamplerShapes(channels), 'file'))).toEqual(sources)
})
