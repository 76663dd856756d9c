import { Hono } from 'hono'
import { decodeJwt, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { KEY, oneKey } from '../../../test/fakes/live-gateway.ts'
import { errorResponse } from '../error-response.ts'
import { createRealtimeTokens } from '../realtime-tokens.ts'
import { tokenRoutes } from './tokens.ts'

const secret = new Uint8Array(32).fill(7)
const tokens = createRealtimeTokens(secret)
const app = new Hono().route('/', tokenRoutes({ keys: oneKey, tokens })).onError((error) => errorResponse(error))

async function post(path: string, body: unknown, authorization = `Key ${KEY}`) {
  const response = await app.request(path, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const answer: unknown = await response.json()
  return { status: response.status, answer, token: typeof answer === 'string' ? answer : '' }
}

const lifetime = (token: string) => {
  const { iat = 0, exp = 0 } = decodeJwt(token)
  return exp - iat
}

describe('tokenRoutes', () => {
  it('answers the clients with a bare string, which is a token for the alias they name', async () => {
    const { status, token } = await post('/tokens/', { allowed_apps: ['instantid'], token_expiration: 120 })
    expect(status).toBe(201)
    expect(await tokens.verify(token, 'fal-ai/instantid')).toEqual({ keyId: 'test-key' })
    expect(await tokens.verify(token, 'other-owner/instantid')).toEqual({ keyId: 'test-key' })
    expect(await tokens.verify(token, 'fal-ai/lora')).toBeUndefined()
    expect(lifetime(token)).toBe(120)
  })

  it('answers the documented form in its own shape', async () => {
    const { status, answer } = await post('/tokens/realtime', {
      allowed_apps: ['fal-ai/instantid/lcm/realtime'],
      duration: 60,
    })
    const { token } = answer as { token: string }
    expect(status).toBe(201)
    expect(await tokens.verify(token, 'fal-ai/instantid')).toEqual({ keyId: 'test-key' })
    expect(await tokens.verify(token, 'other-owner/instantid')).toBeUndefined()
    expect(lifetime(token)).toBe(60)
  })

  it('understands the older form', async () => {
    const { token } = await post('/tokens', { app: '110602490-lcm-sd15-i2i', token_expiration: '30' })
    expect(await tokens.verify(token, 'fal-ai/lcm-sd15-i2i')).toEqual({ keyId: 'test-key' })
    expect(lifetime(token)).toBe(30)
  })

  it('lets no token outlive a day', async () => {
    const { token } = await post('/tokens/', { allowed_apps: ['x'], token_expiration: 10 ** 9 })
    expect(lifetime(token)).toBe(86_400)
  })

  it('refuses a body that names no application, a lifetime that is none, and what is no JSON', async () => {
    const locOf = async (body: unknown) => {
      const { answer } = await post('/tokens/', body)
      return (answer as { detail: { loc: unknown }[] }).detail[0]?.loc
    }
    expect(await locOf({})).toEqual(['body', 'allowed_apps'])
    expect(await locOf({ allowed_apps: 'x' })).toEqual(['body', 'allowed_apps'])
    expect(await locOf({ allowed_apps: [1] })).toEqual(['body', 'allowed_apps', 0])
    expect(await locOf({ allowed_apps: [], duration: 0 })).toEqual(['body', 'duration'])
    expect(await locOf({ allowed_apps: [], token_expiration: 'soon' })).toEqual(['body', 'token_expiration'])
    expect(await locOf('{')).toEqual(['body'])
    expect(await locOf('[]')).toEqual(['body'])
  })

  it('asks for a key', async () => {
    expect((await post('/tokens/', { allowed_apps: ['x'] }, 'Key a:b')).status).toBe(401)
  })
})

describe('createRealtimeTokens', () => {
  it('refuses tokens that are expired, forged, unsigned or made for something else', async () => {
    const claims = () => new SignJWT({ apps: ['x'] }).setIssuer('darkroom').setAudience('application-token')
    const sign = (jwt: SignJWT, key = secret) => jwt.setProtectedHeader({ alg: 'HS256' }).sign(key)
    expect(await tokens.verify(await sign(claims().setExpirationTime('1m')), 'a/x')).toEqual({})
    expect(await tokens.verify(await sign(claims().setExpirationTime('-1s')), 'a/x')).toBeUndefined()
    expect(await tokens.verify(await sign(claims()), 'a/x')).toBeUndefined()
    expect(await tokens.verify(await sign(claims().setExpirationTime('1m'), new Uint8Array(32)), 'a/x')).toBeUndefined()
    const elsewhere = claims().setAudience('upload').setExpirationTime('1m')
    expect(await tokens.verify(await sign(elsewhere), 'a/x')).toBeUndefined()
    const [header, payload] = (await sign(claims().setExpirationTime('1m'))).split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(await tokens.verify(`${none}.${payload}.`, 'a/x')).toBeUndefined()
    expect(await tokens.verify(`${header}.${payload}.`, 'a/x')).toBeUndefined()
    expect(await tokens.verify('', 'a/x')).toBeUndefined()
  })
})
