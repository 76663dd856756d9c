import { expect, test } from 'vitest'
import { requireClipSkip } from './prompt-embeddings.ts'
import type { TextEncoders } from './text-encoders.ts'

const encoders = (first: number, second?: number) =>
  ({
    first: { config: { layers: first } },
    second: second && { config: { layers: second } },
  }) as unknown as TextEncoders

test.each([
  [encoders(12), 12],
  [encoders(12, 32), 11],
  [encoders(32, 12), 11],
])('clip skip leaves a layer', (textEncoders, most) => {
  requireClipSkip(textEncoders, most)
  expect(() => requireClipSkip(textEncoders, most + 1)).toThrow(
    expect.objectContaining({ name: 'ParameterError', parameter: 'clip_skip' }),
  )
})
