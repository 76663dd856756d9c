import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newFileKey } from '../../src/storage/object-key.ts'
import { S3ObjectStore, type S3Options } from '../../src/storage/s3-object-store.ts'
import { bytesOf, describeObjectStore, streamOf } from './object-store-contract.ts'
import { S3Stub } from './s3-stub.ts'

const stub = new S3Stub()
const TEXT = { contentType: 'text/plain' }
const opened: S3ObjectStore[] = []
let store: S3ObjectStore

/** A server to run the contract on instead of the stub, such as `http://127.0.0.1:9000`; its bucket is `test-bucket`. */
const OTHER_SERVER = process.env.DARKROOM_TEST_S3_ENDPOINT

function open(options: Partial<S3Options> = {}): S3ObjectStore {
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
  const endpoint = OTHER_SERVER ?? stub.endpoint
  const made = new S3ObjectStore({ bucket: stub.bucket, region: 'eu-test-1', endpoint, credentials, ...options })
  opened.push(made)
  return made
}

beforeAll(async () => {
  await stub.listen()
  store = open({ prefix: 'shared/' })
})
afterAll(async () => {
  for (const made of opened) made.close()
  await stub.close()
})

describeObjectStore(OTHER_SERVER === undefined ? 'S3 stub' : 'S3 server', () => store)

describe('S3: uploads straight to the bucket', () => {
  it('presigns a PUT of the given type for plain files only', async () => {
    const direct = open({ directUploads: true })
    const key = newFileKey('direct.png')
    const url = await direct.presignPut(key, { contentType: 'image/png', expiresInSeconds: 60 })
    expect(new URL(url ?? '').searchParams.get('X-Amz-SignedHeaders')).toContain('content-type')
    const put = await fetch(url ?? '', { method: 'PUT', body: 'picture', headers: { 'content-type': 'image/png' } })
    expect(put.status).toBe(200)
    const read = await direct.get(key)
    expect([read?.info.contentType, String(await bytesOf(read))]).toEqual(['image/png', 'picture'])
    const lifecycle = { contentType: 'image/png', expiresInSeconds: 60 }
    expect(await direct.presignPut(key, { ...lifecycle, expiresAt: new Date() })).toBeUndefined()
    expect(await direct.presignPut(key, { ...lifecycle, acl: { default: 'hide' } })).toBeUndefined()
    expect(await store.presignPut(key, lifecycle)).toBeUndefined()
  })
})

describe.skipIf(OTHER_SERVER !== undefined)('S3: what lies in the bucket', () => {
  it('keeps to its prefix, and leaves neither markers nor uploads behind', async () => {
    stub.objects.clear()
    stub.uploads.clear()
    const kept = newFileKey('kept.txt')
    await store.put(kept, Buffer.from('x'), TEXT)
    for (let i = 0; i < 7; i++) {
      await store.put(newFileKey('a.txt'), Buffer.from('x'), { ...TEXT, expiresAt: new Date(Date.now() + 1000 * i) })
      await store.createMultipart(newFileKey('b.txt'), TEXT)
    }
    expect([...stub.objects.keys()].every((key) => key.startsWith('shared/'))).toBe(true)
    expect([stub.objects.size, stub.uploads.size]).toEqual([15, 7])
    await store.sweep(new Date(Date.now() + 25 * 3_600_000))
    expect([[...stub.objects.keys()], stub.uploads.size]).toEqual([[`shared/${kept}`], 0])
  })

  it('aborts the parts of a stream that fails', async () => {
    stub.uploads.clear()
    const chunks = Array.from({ length: 20 }, () => Buffer.alloc(1024 * 1024))
    const failure = new Error('gone')
    await expect(store.put(newFileKey('a.bin'), streamOf(chunks, failure), TEXT)).rejects.toBe(failure)
    expect(stub.uploads.size).toBe(0)
  })

  it('says what the server said, as typed errors', async () => {
    const key = newFileKey('a.txt')
    for (const [status, code, expected] of [
      [403, 'AccessDenied', 'access_denied'],
      [507, 'XMinioStorageFull', 'no_space'],
      [404, 'NoSuchBucket', 'unavailable'],
    ] as const) {
      stub.failure = { status, code }
      await expect(store.put(key, Buffer.from('x'), TEXT)).rejects.toMatchObject({
        name: 'StorageError',
        code: expected,
      })
      await expect(store.get(key)).rejects.toMatchObject({ name: 'StorageError', code: expected })
      stub.failure = undefined
    }
    const nobody = open({ endpoint: 'http://127.0.0.1:1' })
    await expect(nobody.head(key)).rejects.toMatchObject({ code: 'unavailable', retryable: true })
  })
})
