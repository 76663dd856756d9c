import { encodeImage } from '@darkroom/engine'
import { describe, expect, it } from 'vitest'
import { withRecord } from './picture-record.ts'

const file = await encodeImage({ width: 8, height: 8, data: new Uint8Array(192) }, 'png')

function recordOf(input: Record<string, unknown>, seed = 7n): unknown {
  const stamped = Buffer.from(withRecord(file, 'png', { endpointId: 'fal-ai/lora', input }, seed))
  const at = stamped.indexOf('tEXtdarkroom\0')
  const length = stamped.readUInt32BE(at - 4)
  return JSON.parse(stamped.toString('latin1', at + 'tEXtdarkroom\0'.length, at + 4 + length))
}

describe('the record of a request in its picture', () => {
  it('is the endpoint and the input with the seed that was used', () => {
    const input = { prompt: 'a café', seed: null, loras: [{ path: 'a/b', scale: 0.5 }] }
    expect(recordOf(input)).toEqual({
      endpoint_id: 'fal-ai/lora',
      input: { prompt: 'a café', seed: 7, loras: [{ path: 'a/b', scale: 0.5 }] },
    })
  })

  it('says in what arithmetic it was drawn where that was not exact', () => {
    const record = { endpointId: 'x', precision: 'fast: OpenVINO in bfloat16', input: {} }
    const stamped = withRecord(file, 'png', record, 7n)
    expect(Buffer.from(stamped).toString('latin1')).toContain('"precision": "fast: OpenVINO in bfloat16"')
  })

  it('leaves files of the input out and names them', () => {
    const input = {
      image_url: `data:image/png;base64,${'A'.repeat(9000)}`,
      masks: [{ image_bytes: new Uint8Array(3) }],
    }
    expect(recordOf(input)).toEqual({
      endpoint_id: 'fal-ai/lora',
      input: { masks: [{}], seed: 7 },
      omitted: ['image_url', 'masks.0.image_bytes'],
    })
  })

  it('keeps every digit of a seed', () => {
    const stamped = withRecord(file, 'png', { endpointId: 'x', input: {} }, 2n ** 64n - 1n)
    expect(Buffer.from(stamped).toString('latin1')).toContain('"seed": 18446744073709551615')
  })

  it('is not there where pictures are to say nothing', () => {
    expect(withRecord(file, 'png', undefined, 7n)).toBe(file)
  })
})
