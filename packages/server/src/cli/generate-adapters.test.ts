import { expect, test } from 'vitest'
import { parsePairs } from './generate-adapters.ts'
import { parseTiling } from './generate-options.ts'

const parse = (text: string) => parsePairs('--controlnet', text, ['path', 'image'], ['scale'])

test('pairs may have = in their values', () => {
  expect(parse('path=./canny,image=a=b.png,scale=0.5')).toEqual({ path: './canny', image: 'a=b.png', scale: '0.5' })
})

test.each([
  ['path=a', '--controlnet path=a: image=… is missing'],
  ['path=a,image=', 'image=… is missing'],
  ['path=a,picture=b', 'expected path=…,image=…,scale=…, found picture=b'],
  ['a,b', 'found a'],
])('%s is refused', (text, message) => {
  expect(() => parse(text)).toThrow(message)
})

test('tiles are square, with half a tile from one to the next', () => {
  expect(parseTiling('768')).toEqual({
    tileWidth: 768,
    tileHeight: 768,
    tileStrideWidth: 384,
    tileStrideHeight: 384,
  })
  expect(parseTiling('768:700').tileStrideHeight).toBe(700)
  for (const text of ['x', '0', '512:0', '512:513', '512:']) expect(() => parseTiling(text)).toThrow('--tile')
})
