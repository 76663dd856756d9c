import { describe, expect, it } from 'vitest'
import { isHostAllowed, isOriginAllowed } from './origin-policy.ts'

describe('isOriginAllowed', () => {
  it.each([
    ['http://localhost:3000', true],
    ['http://app.localhost', true],
    ['https://127.0.0.1:8443', true],
    ['http://[::1]:5173', true],
    [undefined, true],
    ['https://example.com', false],
    ['http://localhost.example.com', false],
    ['http://127.0.0.1.example.com', false],
    ['null', false],
  ])('without keys: %s is %s', (origin, allowed) => {
    expect(isOriginAllowed(origin, { auth: 'none', allowedOrigins: undefined, publicUrl: undefined })).toBe(allowed)
  })

  it('lets every page call a server with keys, and the named ones one without', () => {
    expect(
      isOriginAllowed('https://example.com', { auth: 'keys', allowedOrigins: undefined, publicUrl: undefined }),
    ).toBe(true)
    const named = { auth: 'none', allowedOrigins: ['https://app.example.com'], publicUrl: undefined } as const
    expect(isOriginAllowed('https://app.example.com', named)).toBe(true)
    expect(isOriginAllowed('https://example.com', named)).toBe(false)
    expect(isOriginAllowed('https://example.com', { ...named, allowedOrigins: ['*'] })).toBe(true)
    expect(isOriginAllowed('https://example.com', { ...named, auth: 'keys' })).toBe(false)
  })

  it('lets the pages of the server’s own public URL call it', () => {
    const config = { auth: 'none', allowedOrigins: undefined, publicUrl: 'https://draw.example.com/fal' } as const
    expect(isOriginAllowed('https://draw.example.com', config)).toBe(true)
    expect(isOriginAllowed('https://example.com', config)).toBe(false)
  })
})

describe('isHostAllowed', () => {
  const config = { auth: 'none', allowedOrigins: undefined, publicUrl: undefined } as const

  it.each([
    ['localhost:3010', true],
    ['127.0.0.1:3010', true],
    ['[::1]:3010', true],
    ['192.168.1.7', true],
    ['workstation:3010', true],
    ['workstation.local', true],
    ['host.docker.internal:3010', true],
    ['queue.fal.run', true],
    ['110602490-lcm-sd15-i2i.gateway.alpha.fal.ai', true],
    [undefined, true],
    ['evil.example.com:3010', false],
    ['localhost.evil.com', false],
    ['127.0.0.1.evil.com', false],
    ['evil.com.', false],
    ['fal.run.evil.com', false],
  ])('without keys: %s is %s', (host, allowed) => {
    expect(isHostAllowed(host, config)).toBe(allowed)
  })

  it('lets a server be reached by every name with keys, and by the names it was told without', () => {
    const host = 'draw.example.com:3010'
    expect(isHostAllowed(host, { ...config, auth: 'keys' })).toBe(true)
    expect(isHostAllowed(host, { ...config, publicUrl: 'https://draw.example.com/darkroom' })).toBe(true)
    expect(isHostAllowed(host, { ...config, allowedOrigins: ['https://draw.example.com'] })).toBe(true)
    expect(isHostAllowed(host, { ...config, allowedOrigins: ['*'] })).toBe(true)
    expect(isHostAllowed(host, { ...config, publicUrl: 'https://other.example.com' })).toBe(false)
  })
})
