import { describe, expect, test } from 'vitest'
import { decodeJsonBody } from './json-body.ts'

const TEXT = '{"a": "é猫\u{1f600}"}'
const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16()
const utf32 = (text: string, littleEndian: boolean) => {
  const points = Array.from(text, (character) => character.codePointAt(0) ?? 0)
  const bytes = Buffer.alloc(points.length * 4)
  points.forEach((point, index) => {
    if (littleEndian) bytes.writeUInt32LE(point, index * 4)
    else bytes.writeUInt32BE(point, index * 4)
  })
  return bytes
}

describe('the encoding of a JSON body', () => {
  const utf16 = Buffer.from(TEXT, 'utf16le')
  test.each([
    ['UTF-8', Buffer.from(TEXT)],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${TEXT}`)],
    ['UTF-16LE', utf16],
    ['UTF-16BE', swapped(utf16)],
    ['UTF-16LE with a mark', Buffer.from(`\ufeff${TEXT}`, 'utf16le')],
    ['UTF-16BE with a mark', swapped(Buffer.from(`\ufeff${TEXT}`, 'utf16le'))],
    ['UTF-32LE', utf32(TEXT, true)],
    ['UTF-32BE', utf32(TEXT, false)],
    ['UTF-32LE with a mark', utf32(`\ufeff${TEXT}`, true)],
    ['UTF-32BE with a mark', utf32(`\ufeff${TEXT}`, false)],
  ])('%s', (_name, bytes) => {
    expect(decodeJsonBody(bytes)).toBe(TEXT)
  })

  test('two bytes: a digit and a zero byte', () => {
    expect(decodeJsonBody(Buffer.from([0x31, 0]))).toBe('1')
    expect(decodeJsonBody(Buffer.from([0, 0x31]))).toBe('1')
    expect(decodeJsonBody(Buffer.from('12'))).toBe('12')
  })

  test('lone surrogates, encoded by themselves, stay', () => {
    expect(decodeJsonBody(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).toBe('"\ud800"')
    expect(decodeJsonBody(Buffer.from([0x22, 0xed, 0xbf, 0xbf, 0x22, 0xed, 0x95, 0x9c]))).toBe('"\udfff"한')
  })

  test.each([
    ['a stray byte', [0x22, 0xff, 0x22]],
    ['a cut sequence', [0x22, 0xc3]],
    ['half a UTF-16 unit', [0x31, 0, 0x32, 0, 0x33]],
    ['a code point that is none', [0, 0, 0, 0x31, 0xff, 0xff, 0xff, 0xff]],
  ])('no text: %s', (_name, bytes) => {
    expect(decodeJsonBody(Buffer.from(bytes))).toBeUndefined()
  })
})
