import { expect, it } from 'vitest'
import { imageFormat } from './image-format.ts'

const bytes = (latin1: string) => new Uint8Array(Buffer.from(latin1, 'latin1'))

it.each([
  ['jpeg', '\xff\xd8\xff\xe0'],
  ['png', '\x89PNG\r\n\x1a\n\0\0'],
  ['webp', 'RIFF\x10\0\0\0WEBPVP8 '],
  ['gif', 'GIF89a\x01'],
  ['tiff', 'MM\0*\0'],
  ['avif', '\0\0\0\x1cftypavif'],
])('knows %s', (format, start) => {
  expect(imageFormat(bytes(start))).toBe(format)
})

it.each([
  '',
  'GIF8',
  '<svg xmlns="http://www.w3.org/2000/svg"/>',
  '%PDF-1.7',
  'RIFF\x10\0\0\0WAVE',
  '\0\0\0\x1cftypheic',
])('knows nothing of %j', (start) => {
  expect(imageFormat(bytes(start))).toBeUndefined()
})
