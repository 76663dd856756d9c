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
    const first = await keys.create('first', 'API')
    const second = await keys.create('second', 'ADMIN')
    expect(await keys.verify(first.keyId, first.secret)).toEqual({ keyId: first.keyId, scope: 'API' })
    expect(await keys.verify(second.keyId, second.secret)).toEqual({ keyId: second.keyId, scope: 'ADMIN' })
    expect(await keys.verify(first.keyId, second.secret)).toBeUndefined()
    expect(await keys.verify('nobody', first.secret)).toBeUndefined()
    expect(await keys.isValid(first.keyId)).toBe(true)
    expect(await keys.isValid('nobody')).toBe(false)
    expect(await keys.revoke(first.keyId)).toBe(true)
    expect(await keys.isValid(first.keyId)).toBe(false)
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
})
