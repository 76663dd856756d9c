import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { readPictureRecord } from './picture-record.ts'

const bytesOf = (parts: readonly (string | Buffer)[]) =>
  new Uint8Array(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))))

function png(text: string): Uint8Array {
  const chunk = (name: string, data: string) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(data.length)
    return [length, name, data, '\0\0\0\0']
  }
  return bytesOf(['\x89PNG\r\n\x1a\n', ...chunk('IHDR', '\0'.repeat(13)), ...chunk('tEXt', text), ...chunk('IEND', '')])
}

function jpeg(comment: string): Uint8Array {
  const data = `Exif\0\0II*\0${'\0'.repeat(40)}ASCII\0\0\0${comment}`
  const length = Buffer.alloc(2)
  length.writeUInt16BE(data.length + 2)
  return bytesOf(['\xff\xd8', '\xff\xe0\0\x04JF', '\xff\xe1', length, data, '\xff\xda\0\x02', 'scan'])
}

const TEXT = '{"endpoint_id": "fal-ai/lora", "input": {"prompt": "caf\\u00e9", "seed": 42}}'
const RECORD = { endpointId: 'fal-ai/lora', input: { prompt: 'café', seed: 42 }, omitted: [] }

describe('readPictureRecord', () => {
  it('reads a PNG and a JPEG', () => {
    expect(readPictureRecord(png(`darkroom\0${TEXT}`))).toEqual(RECORD)
    expect(readPictureRecord(jpeg(TEXT))).toEqual(RECORD)
  })

  it('keeps every digit of a large seed', () => {
    const record = readPictureRecord(jpeg('{"endpoint_id": "x/y", "input": {"seed": 18446744073709551615}}'))
    expect(record?.input.seed).toBe('18446744073709551615')
  })

  it('finds none in other pictures, in broken ones and in other files', async () => {
    expect(readPictureRecord(png(`parameters\0${TEXT}`))).toBeUndefined()
    expect(readPictureRecord(jpeg('a holiday'))).toBeUndefined()
    expect(readPictureRecord(png(`darkroom\0${TEXT}`).subarray(0, 70))).toBeUndefined()
    expect(readPictureRecord(new Uint8Array())).toBeUndefined()
    expect(readPictureRecord(await readFile(new URL('./picture-record.ts', import.meta.url)))).toBeUndefined()
  })
})
