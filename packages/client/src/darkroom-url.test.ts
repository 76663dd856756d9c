import { describe, expect, it } from 'vitest'
import { darkroomBase, toDarkroomUrl } from './darkroom-url.ts'

describe('darkroomBase', () => {
  it('drops trailing slashes, keeps a prefix, and resolves against the page', () => {
    expect(darkroomBase('http://localhost:3010/')).toBe('http://localhost:3010')
    expect(darkroomBase('https://example.org/darkroom/')).toBe('https://example.org/darkroom')
    expect(darkroomBase('/', 'https://example.org/app/page?x=1')).toBe('https://example.org')
  })

  it('refuses what no request can go to', () => {
    expect(() => darkroomBase('localhost:3010')).toThrow(TypeError)
    expect(() => darkroomBase('/')).toThrow(TypeError)
  })
})

describe('toDarkroomUrl', () => {
  const base = 'http://localhost:3010/prefix'

  it('gives each of fal’s hosts its prefix, sockets included', () => {
    expect(toDarkroomUrl('https://fal.run/fal-ai/lora?a=b', base)).toBe(`${base}/run/fal-ai/lora?a=b`)
    expect(toDarkroomUrl('https://queue.fal.run/fal-ai/lora', base)).toBe(`${base}/queue/fal-ai/lora`)
    expect(toDarkroomUrl('https://rest.fal.ai/tokens/', base)).toBe(`${base}/rest/tokens/`)
    expect(toDarkroomUrl('https://v3.fal.media/files/x', base)).toBe(`${base}/cdn/files/x`)
    expect(toDarkroomUrl('wss://fal.run/fal-ai/lora/realtime?t=1', base)).toBe(
      'ws://localhost:3010/prefix/run/fal-ai/lora/realtime?t=1',
    )
  })

  it('leaves every other URL alone', () => {
    for (const url of ['https://example.org/x', `${base}/cdn/files/x`, '/relative', 'https://evil.fal.run.test/x']) {
      expect(toDarkroomUrl(url, base)).toBe(url)
    }
  })
})
