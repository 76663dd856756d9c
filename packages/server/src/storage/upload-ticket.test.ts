import { describe, expect, it } from 'vitest'
import { readCdnToken, readTicket, signCdnToken, signTicket } from './upload-ticket.ts'

const secret = Buffer.alloc(32, 1)
const now = new Date('2026-01-01T00:00:00Z')
const validUntil = now.getTime() / 1000 + 60
const later = new Date(now.getTime() + 61_000)
const ticket = { key: 'files/00/a', contentType: 'image/png', lifecycle: {}, owner: 'ann', validUntil }
const url = (query: string) => new URL(`http://h/files/00/a?${query}`)

describe('upload tickets', () => {
  it('come back as they were signed', () => {
    const full = {
      ...ticket,
      lifecycle: {
        lifetimeSeconds: 60,
        acl: { default: 'hide' as const, rules: [{ user: 'jürgen', decision: 'allow' as const }] },
      },
      owner: 'ann',
      uploadId: 'u1',
    }
    expect(readTicket(url(signTicket(full, secret)), full.key, secret, now)).toEqual(full)
  })

  it('end', () => {
    const signed = url(signTicket(ticket, secret))
    expect(() => readTicket(signed, ticket.key, secret, later)).toThrow(/expired/)
  })

  it('are of their server and key alone', () => {
    const signed = url(signTicket(ticket, secret))
    expect(() => readTicket(signed, ticket.key, Buffer.alloc(32, 2), now)).toThrow(/signature/)
    expect(() => readTicket(signed, 'files/00/b', secret, now)).toThrow(/another file/)
  })
})

describe('CDN tokens', () => {
  it('name their owner until they end', () => {
    const token = signCdnToken({ owner: 'ann', validUntil }, secret)
    expect(readCdnToken(token, secret, now)).toEqual({ owner: 'ann', validUntil })
    expect(readCdnToken(token, secret, later)).toBeUndefined()
    expect(readCdnToken(token, Buffer.alloc(32, 2), now)).toBeUndefined()
    expect(readCdnToken('a:b', secret, now)).toBeUndefined()
  })

  it('are no upload tickets, nor the reverse', () => {
    const query = new URLSearchParams(signTicket(ticket, secret))
    expect(readCdnToken(`${query.get('ticket')}.${query.get('signature')}`, secret, now)).toBeUndefined()
    const [payload = '', signature = ''] = signCdnToken({ owner: 'ann', validUntil }, secret).split('.')
    const swapped = url(new URLSearchParams({ ticket: payload, signature }).toString())
    expect(() => readTicket(swapped, ticket.key, secret, now)).toThrow(/signature/)
  })
})
