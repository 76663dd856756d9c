import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Config, type Environment, readConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/db/database.ts'
import { openDatabase } from '../../src/db/open-database.ts'
import { openObjectStorage } from '../../src/processes/stores.ts'
import { S3Stub } from './s3-stub.ts'

const SHARED = { DATABASE_URL: 'postgres://shared.test/darkroom' }

let folder: string
let database: Database

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
  database = await openDatabase({ dataFolder: join(folder, 'database') })
})
afterEach(async () => {
  await database.close()
  rmSync(folder, { recursive: true })
})

function configOf(name: string, environment: Environment): Config {
  return readConfig({ dataFolder: join(folder, name) }, environment)
}

describe('files on disk', () => {
  it('are found by every process of a shared database that has the same data folder', async () => {
    const config = configOf('here', SHARED)
    const [first, second] = await Promise.all([
      openObjectStorage(config, database),
      openObjectStorage(config, database),
    ])
    await first.objects.put('files/ab/x.txt', Buffer.from('x'), { contentType: 'text/plain' })
    expect(await second.objects.head('files/ab/x.txt')).toBeDefined()
  })

  it('are refused in a folder of another machine, where they would not be found', async () => {
    await openObjectStorage(configOf('here', SHARED), database)
    const elsewhere = openObjectStorage(configOf('elsewhere', SHARED), database)
    await expect(elsewhere).rejects.toThrow(/another data folder .*elsewhere: .* bucket \(S3_BUCKET\).* --data/)
  })

  it('lie beside an embedded database without more ado', async () => {
    await openObjectStorage(configOf('here', {}), database)
    await openObjectStorage(configOf('elsewhere', {}), database)
  })
})

describe('files in a bucket', () => {
  const stub = new S3Stub()
  beforeAll(() => stub.listen())
  afterAll(() => stub.close())

  const bucket = (changes: Environment = {}): Environment => ({
    ...SHARED,
    S3_BUCKET: stub.bucket,
    S3_REGION: 'eu-test-1',
    S3_ENDPOINT: stub.endpoint,
    S3_ACCESS_KEY_ID: 'key',
    S3_SECRET_ACCESS_KEY: 'secret',
    ...changes,
  })

  it('are shared by processes with folders of their own', async () => {
    const first = await openObjectStorage(configOf('here', bucket()), database)
    const second = await openObjectStorage(configOf('elsewhere', bucket()), database)
    await first.objects.put('files/ab/y.txt', Buffer.from('y'), { contentType: 'text/plain' })
    expect((await second.objects.head('files/ab/y.txt'))?.size).toBe(1)
    for (const each of [first, second]) each.close()
  })

  it('are refused at the start when the bucket is not there or does not answer', async () => {
    const missing = openObjectStorage(configOf('here', bucket({ S3_BUCKET: 'another' })), database)
    await expect(missing).rejects.toThrow(/bucket another: NoSuchBucket/)
    const silent = openObjectStorage(configOf('here', bucket({ S3_ENDPOINT: 'http://127.0.0.1:1' })), database)
    await expect(silent).rejects.toMatchObject({ name: 'StorageError', code: 'unavailable' })
  })
})
