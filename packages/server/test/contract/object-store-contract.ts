import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { trimFiles } from '../../src/storage/files-budget.ts'
import { newFileKey } from '../../src/storage/object-key.ts'
import type { ObjectStore, StoredObject } from '../../src/storage/object-store.ts'
import { StorageError } from '../../src/storage/storage-error.ts'

const TEXT = { contentType: 'text/plain' }
const MEBIBYTE = 1024 * 1024

/** A stream that gives the chunks one by one, and then ends or raises. */
export function streamOf(chunks: readonly Uint8Array[], failure?: Error): ReadableStream<Uint8Array> {
  const rest = [...chunks]
  return new ReadableStream({
    pull(controller) {
      const chunk = rest.shift()
      if (chunk !== undefined) controller.enqueue(chunk)
      else if (failure === undefined) controller.close()
      else controller.error(failure)
    },
  })
}

export async function bytesOf(object: StoredObject | undefined): Promise<Buffer> {
  if (object === undefined) throw new Error('there is no such object')
  return Buffer.from(await new Response(object.body).arrayBuffer())
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(StorageError)
  return error instanceof StorageError ? error.code : ''
}

/** What every object store must do. `store` is called in each test, after the file's own `beforeAll`. */
export function describeObjectStore(name: string, store: () => ObjectStore): void {
  describe(`${name}: objects`, () => {
    it('gives back what was put, with its metadata', async () => {
      const key = newFileKey('a b.png')
      const bytes = randomBytes(200_000)
      const put = await store().put(key, bytes, { contentType: 'image/png', owner: 'k1', acl: { default: 'hide' } })
      const read = await store().get(key)
      expect((await bytesOf(read)).equals(bytes)).toBe(true)
      expect(read?.info).toMatchObject({ key, size: 200_000, contentType: 'image/png', owner: 'k1' })
      expect(read?.info.acl).toEqual({ default: 'hide' })
      expect(read?.info.etag).toBe(put.etag)
      expect(await store().head(key)).toEqual(read?.info)
      expect(read?.info.expiresAt).toBeUndefined()
    })

    it('lists what is stored, and lets the oldest go beyond a budget', async () => {
      const own = new Map([400, 300, 200].map((size) => [newFileKey(`${size}.noext.bin`), size]))
      for (const [key, size] of own) await store().put(key, randomBytes(size), { ...TEXT, acl: { default: 'hide' } })
      const plain = newFileKey('plain')
      await store().put(plain, randomBytes(7), TEXT)
      const listed = new Map<string, number>()
      for await (const { key, bytes, storedAt } of store().entries()) {
        listed.set(key, bytes)
        expect(Math.abs(Date.now() - storedAt.getTime())).toBeLessThan(600_000)
      }
      for (const [key, size] of [...own, [plain, 7] as const]) expect(listed.get(key)).toBe(size)
      // Only its own, with ages of the test's making: other tests' objects are in the same store.
      const ages = [...own.keys(), plain]
      const hours = (count: number) => new Date(Date.now() - count * 3_600_000)
      const part = {
        async *entries() {
          for await (const entry of store().entries()) {
            const age = ages.indexOf(entry.key)
            if (age >= 0) yield { ...entry, storedAt: hours(age === 3 ? 0 : 10 - age) }
          }
        },
        delete: (key: string) => store().delete(key),
      }
      expect(await trimFiles(part, 10_000, new Date())).toEqual({ files: 4, bytes: 907 })
      expect(await trimFiles(part, 600, new Date())).toEqual({ files: 3, bytes: 507 })
      expect(await store().head(ages[0] ?? '')).toBeUndefined()
      expect(await store().head(ages[1] ?? '')).toBeDefined()
      // What was stored within the last hour stays.
      expect(await trimFiles(part, 0, new Date())).toEqual({ files: 1, bytes: 7 })
      expect(await store().head(plain)).toBeDefined()
    })

    it('puts streams of unknown length: empty, in small chunks, and larger than one S3 part', async () => {
      const cases = [[], [randomBytes(3), randomBytes(70_000)], Array.from({ length: 9 }, () => randomBytes(MEBIBYTE))]
      for (const chunks of cases) {
        const key = newFileKey('stream.bin')
        const info = await store().put(key, streamOf(chunks), TEXT)
        const expected = Buffer.concat(chunks)
        expect(info.size).toBe(expected.byteLength)
        expect((await bytesOf(await store().get(key))).equals(expected)).toBe(true)
      }
    })

    it('keeps nothing of a stream that fails, and passes its error on', async () => {
      const failure = new Error('the client went away')
      for (const chunks of [[randomBytes(100)], Array.from({ length: 9 }, () => randomBytes(MEBIBYTE))]) {
        const key = newFileKey('broken.bin')
        await expect(store().put(key, streamOf(chunks, failure), TEXT)).rejects.toBe(failure)
        expect(await store().head(key)).toBeUndefined()
        await store().put(key, Buffer.from('old'), TEXT)
        await expect(store().put(key, streamOf(chunks, failure), TEXT)).rejects.toBe(failure)
        expect(String(await bytesOf(await store().get(key)))).toBe('old')
      }
    })

    it('replaces an object whole', async () => {
      const key = newFileKey('a.txt')
      const first = await store().put(key, Buffer.from('first'), TEXT)
      const open = await store().get(key)
      const second = await store().put(key, Buffer.from('the second'), { contentType: 'text/html' })
      expect(second.etag).not.toBe(first.etag)
      expect(String(await bytesOf(open))).toBe('first')
      expect(String(await bytesOf(await store().get(key)))).toBe('the second')
      expect((await store().head(key))?.contentType).toBe('text/html')
    })

    it('reads ranges', async () => {
      const key = newFileKey('range.bin')
      const bytes = randomBytes(200_000)
      await store().put(key, bytes, TEXT)
      for (const [start, end] of [
        [0, 0],
        [5, 70_004],
        [199_999, 199_999],
        [100, 10_000_000],
      ] as const) {
        const read = await store().get(key, { start, end })
        expect(read?.info.size).toBe(200_000)
        expect((await bytesOf(read)).equals(bytes.subarray(start, end + 1))).toBe(true)
      }
      expect(await codeOf(store().get(key, { start: 200_000, end: 200_001 }))).toBe('invalid_range')
    })

    it('replaces access rules, and nothing else', async () => {
      const key = newFileKey('a.txt')
      const expiresAt = new Date(Date.now() + 3_600_000)
      const put = await store().put(key, Buffer.from('text'), {
        ...TEXT,
        expiresAt,
        owner: 'k1',
        acl: { default: 'hide' },
      })
      const rules = [{ user: 'bob é', decision: 'allow' as const }]
      const changed = await store().setAcl(key, { default: 'forbid', rules })
      expect(changed).toMatchObject({ contentType: 'text/plain', size: 4, owner: 'k1', expiresAt, etag: put.etag })
      expect(changed?.acl).toEqual({ default: 'forbid', rules })
      expect(await store().head(key)).toEqual(changed)
      expect((await store().setAcl(key, undefined))?.acl).toBeUndefined()
      expect(await store().head(key)).not.toHaveProperty('acl')
      expect(String(await bytesOf(await store().get(key)))).toBe('text')
      expect(await store().setAcl(newFileKey('none.txt'), { default: 'hide' })).toBeUndefined()
      expect(await codeOf(store().setAcl('../a', undefined))).toBe('invalid_key')
    })

    it('keeps an object readable whose rules change while it is replaced', async () => {
      const key = newFileKey('a.txt')
      await store().put(key, Buffer.from('0'), TEXT)
      let replacing = true
      const change = async () => {
        while (replacing)
          await store()
            .setAcl(key, { default: 'hide' })
            .catch(() => undefined)
      }
      const changes = [change(), change(), change()]
      try {
        for (let i = 0; i < 40; i++) {
          await store().put(key, Buffer.from('x'), TEXT)
          expect((await bytesOf(await store().get(key))).byteLength).toBe(1)
        }
      } finally {
        replacing = false
        await Promise.all(changes)
      }
      expect((await bytesOf(await store().get(key))).byteLength).toBe(1)
    })

    it('stays deleted when its rules change meanwhile', async () => {
      for (let i = 0; i < 40; i++) {
        const key = newFileKey('a.txt')
        await store().put(key, Buffer.from('x'), TEXT)
        const change = () => store().setAcl(key, { default: 'hide' })
        await Promise.all([change(), store().delete(key), change()])
        expect(await store().head(key)).toBeUndefined()
      }
    })

    it('deletes, and deletes again', async () => {
      const key = newFileKey('a.txt')
      await store().put(key, Buffer.from('x'), TEXT)
      await store().delete(key)
      expect(await store().head(key)).toBeUndefined()
      expect(await store().get(key)).toBeUndefined()
      await store().delete(key)
    })

    it('hides an expired object at once and removes it in the sweep', async () => {
      const key = newFileKey('a.txt')
      const kept = newFileKey('b.txt')
      await store().put(key, Buffer.from('x'), { ...TEXT, expiresAt: new Date(Date.now() - 1000) })
      await store().put(kept, Buffer.from('y'), { ...TEXT, expiresAt: new Date(Date.now() + 3_600_000) })
      expect(await store().head(key)).toBeUndefined()
      expect(await store().get(key)).toBeUndefined()
      await store().sweep(new Date())
      expect(await store().head(kept)).toBeDefined()
      await store().sweep(new Date(Date.now() + 3_700_000))
      expect(await store().head(kept)).toBeUndefined()
    })

    it('keeps an object that was put again for longer', async () => {
      const key = newFileKey('a.txt')
      await store().put(key, Buffer.from('x'), { ...TEXT, expiresAt: new Date(Date.now() + 1000) })
      await store().put(key, Buffer.from('y'), { ...TEXT, expiresAt: new Date(Date.now() + 3_600_000) })
      await store().sweep(new Date(Date.now() + 60_000))
      expect(await store().head(key)).toBeDefined()
    })

    it.each(['../a', 'a/../b', '/a', 'a//b', 'a/', '', '.a', 'a\\b', 'a\0b', 'a~b', 'a/b.', 'ä', 'a'.repeat(513)])(
      'refuses the key %j',
      async (key) => {
        expect(await codeOf(store().put(key, Buffer.from('x'), TEXT))).toBe('invalid_key')
        expect(await codeOf(store().get(key))).toBe('invalid_key')
        expect(await codeOf(store().head(key))).toBe('invalid_key')
        expect(await codeOf(store().delete(key))).toBe('invalid_key')
        expect(await codeOf(store().createMultipart(key, TEXT))).toBe('invalid_key')
      },
    )
  })

  describe(`${name}: multipart uploads`, () => {
    it('joins parts by number, whatever order they came and are listed in', async () => {
      const key = newFileKey('big.bin')
      const uploadId = await store().createMultipart(key, { contentType: 'image/png', owner: 'k2' })
      const parts = [randomBytes(5 * MEBIBYTE), randomBytes(5 * MEBIBYTE), randomBytes(17)]
      const [third, first, second] = await Promise.all(
        [3, 1, 2].map((n) => store().putPart(key, uploadId, n, streamOf([parts[n - 1] ?? Buffer.alloc(0)]))),
      )
      if (first === undefined || second === undefined || third === undefined) throw new Error('a part has no answer')
      expect(await store().head(key)).toBeUndefined()
      const info = await store().completeMultipart(key, uploadId, [third, first, second])
      expect(info).toMatchObject({ size: 10 * MEBIBYTE + 17, contentType: 'image/png', owner: 'k2' })
      expect((await bytesOf(await store().get(key))).equals(Buffer.concat(parts))).toBe(true)
      // S3 lets a completion be repeated, disk does not; neither may change the object.
      await store()
        .completeMultipart(key, uploadId, [first, second, third])
        .catch((error: unknown) => expect(error).toMatchObject({ code: 'upload_not_found' }))
      expect((await store().head(key))?.etag).toBe(info.etag)
    })

    it('takes a part again', async () => {
      const key = newFileKey('again.bin')
      const uploadId = await store().createMultipart(key, TEXT)
      const old = await store().putPart(key, uploadId, 1, streamOf([Buffer.from('old')]))
      const part = await store().putPart(key, uploadId, 1, streamOf([Buffer.from('new')]))
      expect(await codeOf(store().completeMultipart(key, uploadId, [old]))).toBe('invalid_upload')
      await store().completeMultipart(key, uploadId, [part])
      expect(String(await bytesOf(await store().get(key)))).toBe('new')
    })

    it('refuses missing parts, an empty list, and uploads that are not of the key', async () => {
      const key = newFileKey('parts.bin')
      const uploadId = await store().createMultipart(key, TEXT)
      const part = await store().putPart(key, uploadId, 1, streamOf([Buffer.from('x')]))
      const missing = [part, { partNumber: 2, etag: part.etag }]
      expect(await codeOf(store().completeMultipart(key, uploadId, missing))).toBe('invalid_upload')
      expect(await codeOf(store().completeMultipart(key, uploadId, []))).toBe('invalid_upload')
      expect(await codeOf(store().completeMultipart(newFileKey('c.bin'), uploadId, [part]))).toBe('upload_not_found')
      expect(await codeOf(store().putPart(key, uploadId, 0, streamOf([Buffer.from('x')])))).toBe('invalid_upload')
      expect(await codeOf(store().putPart(key, '../../x', 1, streamOf([Buffer.from('x')])))).toBe('upload_not_found')
    })

    it('forgets an aborted upload', async () => {
      const key = newFileKey('abort.bin')
      const uploadId = await store().createMultipart(key, TEXT)
      await store().putPart(key, uploadId, 1, streamOf([Buffer.from('x')]))
      await store().abortMultipart(key, uploadId)
      expect(await codeOf(store().putPart(key, uploadId, 2, streamOf([Buffer.from('x')])))).toBe('upload_not_found')
    })

    it('sweeps uploads abandoned for a day, and no younger ones', async () => {
      const key = newFileKey('abandoned.bin')
      const uploadId = await store().createMultipart(key, TEXT)
      await store().putPart(key, uploadId, 1, streamOf([Buffer.from('x')]))
      await store().sweep(new Date(Date.now() + 23 * 3_600_000))
      await store().putPart(key, uploadId, 2, streamOf([Buffer.from('x')]))
      await store().sweep(new Date(Date.now() + 25 * 3_600_000))
      expect(await codeOf(store().putPart(key, uploadId, 3, streamOf([Buffer.from('x')])))).toBe('upload_not_found')
    })
  })
}
