import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { decodeDataUri } from './data-uri.ts'

const decode = (uri: string, maxBytes = 1000) => {
  const { bytes, contentType } = decodeDataUri(uri, maxBytes)
  return [Buffer.from(bytes).toString(), contentType]
}

describe('decodeDataUri', () => {
  it.each([
    ['data:image/png;base64,aGVsbG8=', 'hello', 'image/png'],
    ['DATA:image/png;BASE64,aGVsbG8', 'hello', 'image/png'],
    ['data:;base64,aGVs%0AbG8%3D', 'hello', 'text/plain'],
    ['data:text/html;charset=utf-8;base64,aGVs\nbG8=', 'hello', 'text/html;charset=utf-8'],
    ['data:image/svg+xml,%3Csvg%2F%3E', '<svg/>', 'image/svg+xml'],
    ['data:,a%zz,b%', 'a%zz,b%', 'text/plain'],
    ['data:,gr%C3%BCn grün', 'grün grün', 'text/plain'],
    ['data:,', '', 'text/plain'],
  ])('%s', (uri, text, contentType) => {
    expect(decode(uri)).toEqual([text, contentType])
  })

  it('takes the URL alphabet', () => {
    const bytes = Buffer.from([0xfb, 0xff, 0xfe])
    expect(decodeDataUri('data:;base64,-__-', 10).bytes).toEqual(bytes)
    expect(decodeDataUri('data:;base64,+//+', 10).bytes).toEqual(bytes)
  })

  it.each([
    'data:image/png;base64',
    'http://a',
    'data:;base64,a',
    'data:;base64,a=b=',
    'data:;base64,ä',
    'data:;base64,aGVs!',
  ])('refuses %s', (uri) => {
    expect(() => decode(uri)).toThrow(expect.objectContaining({ code: 'invalid_url' }))
  })

  it('limits the size of both kinds', () => {
    expect(decode(`data:;base64,${Buffer.alloc(10).toString('base64')}`, 10)[0]).toHaveLength(10)
    for (const uri of [
      `data:;base64,${Buffer.alloc(11).toString('base64')}`,
      `data:,${'a'.repeat(11)}`,
      `data:,${'%41'.repeat(11)}`,
    ])
      expect(() => decode(uri, 10)).toThrow(expect.objectContaining({ code: 'too_large' }))
    expect(() => decode(`data:;base64,${'A'.repeat(100_000)}`, 10)).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    )
  })

  it('decodes tens of megabytes', () => {
    const bytes = randomBytes(30_000_000)
    const { bytes: decoded } = decodeDataUri(`data:;base64,${bytes.toString('base64')}`, 50_000_000)
    expect(Buffer.compare(decoded, bytes)).toBe(0)
  })
})
