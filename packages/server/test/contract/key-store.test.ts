import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KeyStore } from '../../src/gateway/key-store.ts'
import { createSqlKeyStore } from '../../src/gateway/sql-key-store.ts'
import { BACKENDS, type Opened } from './backends.ts'

describe.each(BACKENDS)('keys on $name', (backend) => {
  let opened: Opened
  let keys: KeyStore

  beforeAll(async () => {
    opened = await backend.open()
    keys = createSqlKeyStore(opened.database)
  })

  afterAll(() => opened.close())

  test('are verified, listed newest first and revoked once', async () => {
    const first = await keys.create('first', 'API', 'default')
    const second = await keys.create('second', 'ADMIN', 'default')
    expect(await keys.verify(first.keyId, first.secret)).toEqual({
      keyId: first.keyId,
      account: 'default',
      scope: 'API',
    })
    expect(await keys.verify(second.keyId, second.secret)).toEqual({
      keyId: second.keyId,
      account: 'default',
      scope: 'ADMIN',
    })
    expect(await keys.verify(first.keyId, second.secret)).toBeUndefined()
    expect(await keys.verify('nobody', first.secret)).toBeUndefined()
    expect(await keys.find(first.keyId)).toEqual({ keyId: first.keyId, account: 'default', scope: 'API' })
    expect(await keys.find('nobody')).toBeUndefined()
    expect(await keys.revoke(first.keyId)).toBe(true)
    expect(await keys.find(first.keyId)).toBeUndefined()
    expect(await keys.revoke(first.keyId)).toBe(false)
    expect(await keys.revoke('nobody')).toBe(false)
    expect(await keys.verify(first.keyId, first.secret)).toBeUndefined()
    const listed = await keys.list()
    expect(new Set(listed.map((key) => key.alias))).toEqual(new Set(['first', 'second']))
    expect(listed.find((key) => key.alias === 'first')).toMatchObject({
      keyId: first.keyId,
      createdAt: first.createdAt,
      revokedAt: expect.any(Date),
    })
    expect(listed.find((key) => key.alias === 'second')).not.toHaveProperty('revokedAt')
  })

  test('of an account are listed and revoked within it', async () => {
    const own = await keys.create('own', 'API', 'acme')
    expect(await keys.verify(own.keyId, own.secret)).toEqual({ keyId: own.keyId, account: 'acme', scope: 'API' })
    expect((await keys.list('acme')).map(({ keyId }) => keyId)).toEqual([own.keyId])
    expect((await keys.list('other')).length).toBe(0)
    expect(await keys.revoke(own.keyId, 'other')).toBe(false)
    expect(await keys.revoke(own.keyId, 'acme')).toBe(true)
  })
})
