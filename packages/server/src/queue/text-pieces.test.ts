import { describe, expect, it } from 'vitest'
import { piecesOf } from './text-pieces.ts'

const url = `data:image/png;base64,${'A1'.repeat(200_000)}`
const PIECE = 256 * 1024

describe('piecesOf', () => {
  it('keeps a short text whole', () => {
    expect(piecesOf('a'.repeat(4096))).toBeUndefined()
    expect(piecesOf('a'.repeat(4097))).toEqual(['a'.repeat(4097)])
  })

  it('cuts the same file into the same pieces, wherever it stands', () => {
    const first = piecesOf(`{"image_url":"${url}"}`) ?? []
    const second = piecesOf(`{"prompt":"${'x'.repeat(777)}","image_url": "${url}","mask_url":"${url}"}`) ?? []
    expect(first.slice(1, -1)).toEqual([url.slice(0, PIECE), url.slice(PIECE)])
    expect(second.filter((piece) => piece === url.slice(0, PIECE))).toHaveLength(2)
    expect(first.join('')).toBe(`{"image_url":"${url}"}`)
  })

  it('leaves small files and what only looks like one in the text around them', () => {
    const text = `{"a":"data:,${'b'.repeat(5000)}","c":"data:${'d'.repeat(20_000)}`
    expect(piecesOf(text)?.join('')).toBe(text)
    expect(piecesOf(text)).toHaveLength(2)
  })

  it('cuts no character in two', () => {
    const text = `x${'😀'.repeat(PIECE)}`
    const pieces = piecesOf(text) ?? []
    expect(pieces.join('')).toBe(text)
    for (const piece of pieces) {
      expect(piece).not.toMatch(/\p{Surrogate}/u)
      expect(piece.length).toBeLessThanOrEqual(PIECE)
    }
  })
})
