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
  ['bmp', 'BM\x36\x01\0\0\0\0\0\0\x36'],
  ['ico', '\0\0\x01\0\x02\0'],
  ['pnm', 'P6\n24 17'],
])('knows %s', (format, start) => {
  expect(imageFormat(bytes(start))).toBe(format)
})

it.each([
  '',
  'GIF8',
  '<svg xmlns="http://www.w3.org/2000/svg"/>',
  '%PDF-1.7',
  'RIFF\x10\0\0\0WAVE',
  'BMW and others',
  'P7\nWIDTH 3',
  'P6x',
  '\0\0\0\x1cftypheic',
])('knows nothing of %j', (start) => {
  expect(imageFormat(bytes(start))).toBeUndefined()
})
