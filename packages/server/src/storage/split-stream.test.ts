import { describe, expect, it } from 'vitest'
import { splitStream } from './split-stream.ts'

async function split(lengths: readonly number[], size: number): Promise<number[][]> {
  let next = 0
  const chunks = lengths.map((length) => Uint8Array.from({ length }, () => next++))
  const pieces: number[][] = []
  for await (const piece of splitStream(ReadableStream.from(chunks), size)) pieces.push([...piece])
  return pieces
}

describe('splitStream', () => {
  it.each([
    [[], 4, []],
    [[0, 0], 4, []],
    [[1, 1, 1], 4, [3]],
    [[4], 4, [4]],
    [[4, 4], 4, [4, 4]],
    [[3, 3, 3], 4, [4, 4, 1]],
    [[11], 4, [4, 4, 3]],
    [[1, 0, 9, 2], 5, [5, 5, 2]],
  ])('cuts chunks of %j at %i', async (lengths, size, expected) => {
    const pieces = await split(lengths, size)
    expect(pieces.map((piece) => piece.length)).toEqual(expected)
    const total = lengths.reduce((sum, length) => sum + length, 0)
    expect(pieces.flat()).toEqual(Array.from({ length: total }, (_, i) => i))
  })
})
