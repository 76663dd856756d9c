import { describe, expect, it } from 'vitest'
import { pythonLiteral, requestCode } from './request-code.ts'

const request = {
  base: 'http://127.0.0.1:3010',
  endpointId: 'fal-ai/lora',
  input: { prompt: 'it\'s "here"', loras: [{ path: 'a/b' }], sync_mode: false },
  needsKey: false,
}

describe('requestCode', () => {
  it('quotes for the shell', () => {
    expect(requestCode('curl', request)).toContain(`"prompt": "it'\\''s \\"here\\""`)
  })

  it('asks for the key from the environment where one is needed', () => {
    const code = (needsKey: boolean) => requestCode('curl', { ...request, needsKey })
    expect(code(true)).toContain('authorization: Key $FAL_KEY')
    expect(code(false)).not.toContain('FAL_KEY')
  })

  it('uses fal’s Python client where there is HTTPS, which it insists on', () => {
    expect(requestCode('Python', { ...request, base: 'https://draw.example' })).toContain('import fal_client')
    expect(requestCode('Python', request)).toContain('urllib.request')
  })
})

it('writes Python’s own words', () => {
  expect(pythonLiteral({ a: true, b: null, c: [1, 'x'], d: {} })).toBe(
    '{\n    "a": True,\n    "b": None,\n    "c": [\n        1,\n        "x",\n    ],\n    "d": {},\n}',
  )
})
