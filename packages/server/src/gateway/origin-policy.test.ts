import { describe, expect, it } from 'vitest'
import { isOriginAllowed } from './origin-policy.ts'

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
    expect(isOriginAllowed(origin, { auth: 'none', allowedOrigins: undefined })).toBe(allowed)
  })

  it('lets every page call a server with keys, and the named ones one without', () => {
    expect(isOriginAllowed('https://example.com', { auth: 'keys', allowedOrigins: undefined })).toBe(true)
    const named = { auth: 'none', allowedOrigins: ['https://app.example.com'] } as const
    expect(isOriginAllowed('https://app.example.com', named)).toBe(true)
    expect(isOriginAllowed('https://example.com', named)).toBe(false)
    expect(isOriginAllowed('https://example.com', { auth: 'none', allowedOrigins: ['*'] })).toBe(true)
  })
})
