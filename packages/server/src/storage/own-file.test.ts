import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DiskObjectStore } from './disk-object-store.ts'
import { saveGeneratedFile } from './generated-file.ts'
import { parseLifecycle } from './lifecycle.ts'
import { readOwnFile } from './own-file.ts'

let folder = ''
let store: DiskObjectStore
const picture = new TextEncoder().encode('picture')
const filesUrl = 'http://localhost:3010/cdn'

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'own-'))
  store = new DiskObjectStore(folder)
})
afterAll(() => rm(folder, { recursive: true }))

async function save(lifecycle = {}, owner?: string): Promise<string> {
  const options = { filesUrl, lifecycle, ...(owner !== undefined && { owner }) }
  return (await saveGeneratedFile(store, picture, 'image/png', 'png', options)).url
}

describe('readOwnFile', () => {
  it('finds a file by every origin, host name and prefix', async () => {
    const url = await save()
    const path = new URL(url).pathname.replace('/cdn', '')
    for (const base of [
      filesUrl,
      'http://127.0.0.1:3010/cdn',
      'https://v3.fal.media',
      'HTTPS://Draw.Example/proxy/cdn',
      'http://[::1]:3010/cdn',
    ])
      expect(await readOwnFile(store, `${base}${path}?x=1#y`, 100, { filesUrl, account: 'eve' })).toEqual(picture)
  })

  it('leaves every other URL to the network', async () => {
    for (const url of [
      'https://v3.fal.media/files/lion/abc_x.png',
      'http://a/x.png',
      'data:,x',
      'file:///etc/passwd',
      'x',
      `${filesUrl}x/files/a`,
    ])
      expect(await readOwnFile(store, url, 100, { filesUrl, account: 'eve' })).toBeUndefined()
    const elsewhere = `https://other.example/files/00/${'0'.repeat(30)}_a.png`
    expect(await readOwnFile(store, elsewhere, 100, { filesUrl, account: 'eve' })).toBeUndefined()
  })

  it('says why there are no bytes', async () => {
    const gone = `${filesUrl}/files/00/${'0'.repeat(30)}_a.png`
    expect(await readOwnFile(store, gone, 100, { filesUrl, account: 'eve' })).toEqual({ refusal: 'missing' })
    expect(await readOwnFile(store, await save(), 6, { filesUrl, account: 'eve' })).toEqual({ refusal: 'too_large' })
  })

  it('obeys the access rules', async () => {
    const lifecycle = parseLifecycle('{"initial_acl":{"default":"hide","rules":[{"user":"bob","decision":"allow"}]}}')
    const url = await save(lifecycle, 'ann')
    const readBy = async (account: string, keyId = 'key') =>
      (await readOwnFile(store, url, 100, { filesUrl, account, keyId })) instanceof Uint8Array
    expect([await readBy('ann'), await readBy('bob'), await readBy('eve', 'bob')]).toEqual([true, true, true])
    expect([await readBy('eve'), await readBy('eve', 'ann')]).toEqual([false, false])
    const unowned = await save(lifecycle)
    expect(await readOwnFile(store, unowned, 100, { filesUrl, account: 'eve' })).toEqual({ refusal: 'forbidden' })
  })
})
