import { mkdir, mkdtemp, open, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { DiskObjectStore } from '../../src/storage/disk-object-store.ts'
import { newFileKey } from '../../src/storage/object-key.ts'
import { bytesOf, describeObjectStore, streamOf } from './object-store-contract.ts'

let folder = ''
let store: DiskObjectStore
const TEXT = { contentType: 'text/plain' }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'objects-'))
  store = new DiskObjectStore(folder)
})
afterAll(() => rm(folder, { recursive: true }))

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

/** Makes one method of every open file fail as the operating system would. */
async function failingFile(method: 'write' | 'sync', code: string) {
  const handle = await open(folder)
  const prototype: Record<'write' | 'sync', () => Promise<never>> = Object.getPrototypeOf(handle)
  await handle.close()
  return vi.spyOn(prototype, method).mockImplementation(async () => {
    throw Object.assign(new Error(`${code}: simulated`), { code })
  })
}

describeObjectStore('disk', () => store)

describe('disk: failures', () => {
  it.each([
    ['write', 'ENOSPC', 'no_space', false],
    ['sync', 'ENOSPC', 'no_space', false],
    ['write', 'EROFS', 'read_only', false],
    ['write', 'EIO', 'unavailable', true],
  ] as const)(
    '%s fails with %s: a typed error, and nothing half-written',
    async (method, code, expected, retryable) => {
      const key = newFileKey('full.bin')
      await store.put(key, Buffer.from('old'), TEXT)
      const before = await filesBelow(folder)
      const spy = await failingFile(method, code)
      try {
        const put = store.put(key, streamOf([Buffer.alloc(100)]), TEXT)
        await expect(put).rejects.toMatchObject({ name: 'StorageError', code: expected, retryable })
      } finally {
        spy.mockRestore()
      }
      expect(await filesBelow(folder)).toEqual(before)
      expect(String(await bytesOf(await store.get(key)))).toBe('old')
    },
  )

  it('keeps other parts when one cannot be written', async () => {
    const key = newFileKey('parts.bin')
    const uploadId = await store.createMultipart(key, TEXT)
    const part = await store.putPart(key, uploadId, 1, streamOf([Buffer.from('first')]))
    const before = await filesBelow(folder)
    const spy = await failingFile('write', 'ENOSPC')
    try {
      const second = store.putPart(key, uploadId, 2, streamOf([Buffer.from('second')]))
      await expect(second).rejects.toMatchObject({ code: 'no_space' })
    } finally {
      spy.mockRestore()
    }
    expect(await filesBelow(folder)).toEqual(before)
    await store.completeMultipart(key, uploadId, [part])
    expect(String(await bytesOf(await store.get(key)))).toBe('first')
  })

  it('joins the part that is asked for, where one was uploaded twice at once', async () => {
    for (const chosen of [0, 1]) {
      const key = newFileKey('twice.bin')
      const uploadId = await store.createMultipart(key, TEXT)
      const put = (text: string) => store.putPart(key, uploadId, 1, streamOf([Buffer.from(text)]))
      const parts = [await put('first'), await put('second')]
      // As it is where neither saw the other when it ended.
      await writeFile(join(folder, 'uploads', uploadId, `part-1-${parts[0]?.etag}`), 'first')
      await store.completeMultipart(key, uploadId, parts.slice(chosen, chosen + 1))
      expect(String(await bytesOf(await store.get(key)))).toBe(['first', 'second'][chosen])
    }
  })

  it('removes what a crash left after an hour, and nothing that metadata names', async () => {
    const key = newFileKey('crash.bin')
    await store.put(key, Buffer.from('whole'), TEXT)
    const path = join(folder, 'objects', `${key.replace('.bin', '')}~0123456789ab.bin`)
    await (await open(path, 'wx')).close()
    const restarted = new DiskObjectStore(folder)
    await restarted.sweep(new Date())
    expect(await filesBelow(folder)).toContain(path)
    await restarted.sweep(new Date(Date.now() + 25 * 3_600_000))
    expect(await filesBelow(folder)).not.toContain(path)
    expect(String(await bytesOf(await store.get(key)))).toBe('whole')
  })

  it('leaves nothing of what has expired, by the list of expiries as by the walk', async () => {
    const started = new DiskObjectStore(folder)
    await started.sweep(new Date())
    const before = await filesBelow(folder)
    for (let hours = 0; hours < 4; hours++) {
      const expiresAt = new Date(Date.now() + hours * 3_600_000 + 1000)
      await started.put(newFileKey('a.txt'), Buffer.from('x'), { ...TEXT, expiresAt })
    }
    await started.sweep(new Date(Date.now() + 5 * 3_600_000))
    expect(await filesBelow(folder)).toEqual(before)
    await started.put(newFileKey('a.txt'), Buffer.from('x'), { ...TEXT, expiresAt: new Date(Date.now() + 1000) })
    await rm(join(folder, 'expiry'), { recursive: true })
    await new DiskObjectStore(folder).sweep(new Date(Date.now() + 2000))
    expect(await filesBelow(folder)).toEqual(before)
  })

  it('sweeps on where an upload ends meanwhile', async () => {
    await mkdir(join(folder, 'uploads'), { recursive: true })
    // Listed, and not there when it is looked at.
    await symlink(join(folder, 'gone'), join(folder, 'uploads', '0'.repeat(32)))
    await store.createMultipart(newFileKey('a.bin'), TEXT)
    await store.sweep(new Date(Date.now() + 30 * 24 * 3_600_000))
    expect(await readdir(join(folder, 'uploads'))).toEqual(['0'.repeat(32)])
  })

  it('closes the file when a reader gives up', async () => {
    const key = newFileKey('large.bin')
    await store.put(key, Buffer.alloc(1_000_000), TEXT)
    const descriptors = async () => (process.platform === 'linux' ? (await readdir('/proc/self/fd')).length : 0)
    const before = await descriptors()
    for (let i = 0; i < 10; i++) {
      const reader = (await store.get(key))?.body.getReader()
      await reader?.read()
      await reader?.cancel()
    }
    expect(await descriptors()).toBeLessThan(before + 5)
  })
})
