import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FAKE_TOKEN, FakeHub } from '../../test/fakes/fake-hub.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { HubCache } from './hub-cache.ts'
import { HubClient } from './hub-client.ts'
import { type FileRequest, type HubDownloadOptions, HubDownloads } from './hub-download.ts'

const PIECE = 256 * 1024
const BYTES = randomBytes(5 * PIECE)
const SHA256 = createHash('sha256').update(BYTES).digest('hex')
const TUNING = { backoffMs: 1, attempts: 4, stallSeconds: 20, pieceBytes: PIECE }

const hub = new FakeHub()
const http = new OutboundHttp({ allowPrivateTargets: true })
let folder = ''
let cache: HubCache

beforeAll(async () => {
  await hub.listen()
  hub.add('owner/name', { 'x.safetensors': BYTES, 'config.json': '{"a":1}', 'unet/x.safetensors': 'weights' })
  hub.add('owner/gated', { 'x.safetensors': 'gated weights' }, { gated: true })
  hub.add('owner/private', { 'x.safetensors': 'private weights' }, { isPrivate: true })
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-hub-'))
  cache = new HubCache(folder)
})
afterEach(async () => {
  hub.reset()
  await rm(folder, { recursive: true })
})
afterAll(async () => {
  await http.close()
  await hub.close()
})

function downloads(options: Partial<HubDownloadOptions> & { token?: string } = {}): HubDownloads {
  const client = new HubClient({ http, endpoint: hub.endpoint, token: async () => options.token, timing: TUNING })
  return new HubDownloads({ cache, client, http, tuning: TUNING, ...options })
}

function fetch(path = 'x.safetensors', request: Partial<FileRequest> = {}, using = downloads()) {
  const signal = AbortSignal.timeout(20_000)
  return using.fetch({ repository: 'owner/name', revision: 'main', path, maxBytes: 1e12, signal, ...request })
}

const blobs = () => readdir(join(folder, 'models--owner--name', 'blobs'))
const bytesAsked = () => hub.requests.filter(({ host, method }) => host === 'bytes' && method === 'GET')
/** Whether a range is the first of its piece. */
const startsPiece = (range: string | undefined) => Number(/\d+/.exec(range ?? '')?.[0]) % PIECE === 0
/** Bytes of the weights as they lie in the cache; hashed, for a comparison of a megabyte says nothing when it fails. */
const hashOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
const reason = (value: string, message: string | RegExp) =>
  expect.objectContaining({ name: 'ModelError', reason: value, message: expect.stringMatching(message) })

describe('a file that is fetched', () => {
  it('lies as huggingface_hub would have put it', async () => {
    const { path, commit } = await fetch('unet/x.safetensors')
    expect(commit).toBe(hub.commitOf('owner/name'))
    expect(path).toBe(join(folder, 'models--owner--name', 'snapshots', commit, 'unet', 'x.safetensors'))
    expect(await readlink(path)).toBe(`../../../blobs/${createHash('sha256').update('weights').digest('hex')}`)
    expect(await readFile(join(folder, 'models--owner--name', 'refs', 'main'), 'utf8')).toBe(commit)
    expect(await readFile(path, 'utf8')).toBe('weights')
    expect(await blobs()).toHaveLength(1)
  })

  it('comes by several ranges from the host that the hub redirects to', async () => {
    const { path } = await fetch()
    expect(await hashOf(path)).toBe(SHA256)
    const ranges = [0, 1, 2, 3, 4].map((piece) => `bytes=${piece * PIECE}-${(piece + 1) * PIECE - 1}`)
    expect(
      bytesAsked()
        .map(({ range }) => range)
        .sort(),
    ).toEqual(ranges.sort())
    expect(await blobs()).toEqual([SHA256])
  })

  it('is fetched once', async () => {
    await fetch()
    hub.requests.length = 0
    await fetch()
    expect(bytesAsked()).toEqual([])
  })

  it('is a small one that lies on the hub itself', async () => {
    const { path } = await fetch('config.json')
    expect(await readFile(path, 'utf8')).toBe('{"a":1}')
  })

  it('is shared by all who ask at the same time', async () => {
    const using = downloads()
    const all = await Promise.all([
      fetch(undefined, {}, using),
      fetch(undefined, {}, using),
      fetch(undefined, {}, using),
    ])
    expect(new Set(all.map(({ path }) => path)).size).toBe(1)
    expect(hub.servedBytes).toBe(BYTES.length)
  })

  it('is fetched once by two who know nothing of each other', async () => {
    await Promise.all([fetch(), fetch()])
    expect(hub.servedBytes).toBe(BYTES.length)
  })

  it('tells how far it is', async () => {
    const seen: number[] = []
    await fetch(undefined, { onProgress: ({ doneBytes }) => seen.push(doneBytes) })
    expect(seen.at(-1)).toBe(BYTES.length)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
  })

  it('never shows the token to the host that holds the bytes', async () => {
    await fetch('x.safetensors', { repository: 'owner/gated' }, downloads({ token: FAKE_TOKEN }))
    expect(hub.requests.find(({ host }) => host === 'hub')?.authorization).toBe(`Bearer ${FAKE_TOKEN}`)
    expect(hub.requests.filter(({ host }) => host === 'bytes').map(({ authorization }) => authorization)).toEqual([
      undefined,
    ])
  })
})

describe('trouble that passes', () => {
  it('goes on behind a cut', async () => {
    let cuts = 6
    hub.faults.cutAfter = () => (cuts-- > 0 ? PIECE / 3 + 17 : undefined)
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
    // Bytes that were on their way when the connection broke come twice, whole pieces do not.
    expect(hub.servedBytes).toBeLessThan(BYTES.length + 2 * PIECE)
  })

  it('gives up a connection that stalls, and asks for the rest', async () => {
    let stalls = 2
    hub.faults.stalls = () => stalls-- > 0
    const using = downloads({ tuning: { ...TUNING, stallSeconds: 0.1 } })
    expect(await hashOf((await fetch(undefined, {}, using)).path)).toBe(SHA256)
  })

  it.each([500, 502, 503, 429])('asks again after %i', async (status) => {
    let failures = 3
    hub.faults.status = () => (failures-- > 0 ? { status, retryAfter: '0' } : undefined)
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
  })

  it('asks the hub again when it is busy', async () => {
    hub.hubFailures.push({ status: 429, retryAfter: '0' }, { status: 503 })
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
  })

  it('gets a new address when the signed one has run out', async () => {
    hub.signatureUses = 2
    expect(await hashOf((await fetch(undefined, {}, downloads({ connections: 1 }))).path)).toBe(SHA256)
    expect(new Set(bytesAsked().map(({ path }) => path)).size).toBeGreaterThan(1)
  })

  it('takes the file in one piece from a server without ranges', async () => {
    hub.faults.ignoresRanges = true
    let cuts = 1
    hub.faults.cutAfter = ({ range }) => (range === undefined && cuts-- > 0 ? PIECE : undefined)
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
  })
})

describe('trouble that stays', () => {
  const fails = async (request: Promise<unknown>, value: string, message: string | RegExp) => {
    await expect(request).rejects.toEqual(reason(value, message))
    // Whatever happened: nothing has the name of a whole file, and no snapshot leads to one.
    const names = await readdir(folder, { recursive: true })
    expect(names.filter((name) => name.includes('snapshots/') && name.endsWith('x.safetensors'))).toEqual([])
    expect(names.filter((name) => name.endsWith(SHA256))).toEqual([])
  }

  it('says that a connection breaks again and again, and the next try resumes', async () => {
    hub.faults.cutAfter = ({ range }) => (startsPiece(range) ? PIECE / 2 : 0)
    await fails(fetch(), 'unreachable', /owner\/name\/x.safetensors.*try again to resume/)
    hub.faults = {}
    hub.servedBytes = 0
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
    expect(hub.servedBytes).toBeLessThan(BYTES.length)
    expect(hub.servedBytes).toBeGreaterThan(0)
  })

  it('throws away what does not hash to what was promised', async () => {
    hub.faults.alter = (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)])
    await fails(fetch(), 'corrupt', /owner\/name\/x.safetensors is not what its hub promises/)
    hub.faults = {}
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
  })

  it('blames its own older bytes before the server', async () => {
    hub.faults.cutAfter = () => PIECE / 2
    hub.faults.status = ({ range }) => (startsPiece(range) ? undefined : { status: 404 })
    await expect(fetch()).rejects.toEqual(reason('not-found', '404'))
    const partial = (await blobs()).find((name) => name.endsWith('.incomplete')) ?? ''
    const path = join(folder, 'models--owner--name', 'blobs', partial)
    const damaged = await readFile(path)
    damaged[5] = (damaged[5] ?? 0) ^ 1
    await writeFile(path, damaged)
    hub.faults = {}
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
  })

  it.each([
    ['shorter', (bytes: Uint8Array) => bytes.subarray(0, -5), 'unreachable'],
    ['longer', (bytes: Uint8Array) => Buffer.concat([bytes, bytes.subarray(0, 5)]), undefined],
  ] as const)('does not take a file that is %s than promised', async (_, alter, value) => {
    hub.faults.alter = alter
    if (value === undefined) expect(await hashOf((await fetch()).path)).toBe(SHA256)
    else await fails(fetch(), value, 'x.safetensors')
  })

  it('says so when the disk has no room', async () => {
    const using = downloads({ freeBytes: async () => PIECE })
    await fails(fetch(undefined, {}, using), 'disk-full', /needs 1.31 MB more and the disk has 262 KB left/)
    expect(bytesAsked()).toEqual([])
  })

  it('refuses what is larger than it may be', async () => {
    await fails(fetch(undefined, { maxBytes: PIECE }), 'too-large', /1.31 MB, more than the 262 KB/)
    expect(bytesAsked()).toEqual([])
  })

  it('refuses what turns out larger than it may be', async () => {
    hub.faults.ignoresRanges = true
    hub.faults.alter = (bytes) => Buffer.concat([bytes, bytes])
    await fails(fetch(undefined, { maxBytes: BYTES.length }), 'too-large', '2.62 MB')
  })

  it('stops when it is told to, and resumes', async () => {
    const stop = new AbortController()
    // The first four pieces come; the fifth is asked for when it is too late.
    hub.faults.delay = async ({ range }) => {
      if (range === `bytes=${4 * PIECE}-${5 * PIECE - 1}`) stop.abort(new Error('cancelled'))
    }
    await expect(fetch(undefined, { signal: stop.signal })).rejects.toThrow('cancelled')
    hub.faults = {}
    expect(await hashOf((await fetch()).path)).toBe(SHA256)
  })

  it('goes on for the others when one of them is cancelled', async () => {
    const using = downloads()
    const stop = new AbortController()
    hub.faults.delay = async () => stop.abort(new Error('cancelled'))
    const cancelled = fetch(undefined, { signal: stop.signal }, using)
    const other = fetch(undefined, {}, using)
    await expect(cancelled).rejects.toThrow('cancelled')
    expect(await hashOf((await other).path)).toBe(SHA256)
    expect(hub.servedBytes).toBe(BYTES.length)
  })

  it.each([
    ['owner/gated', 'x.safetensors', 'gated', /accept its terms.*HF_TOKEN/],
    ['owner/private', 'x.safetensors', 'not-found', /or it is private/],
    ['owner/nothing', 'x.safetensors', 'not-found', /owner\/nothing on the hub/],
    ['owner/name', 'y.safetensors', 'not-found', /owner\/name has no file y.safetensors/],
  ])('%s %s', async (repository, path, value, message) => {
    await fails(fetch(path, { repository }), value, message)
  })

  it('says that there is no such revision', async () => {
    await fails(fetch(undefined, { revision: 'v9' }), 'not-found', /no revision v9/)
  })

  it('says when to come again', async () => {
    hub.hubFailures.push(...Array.from({ length: 9 }, () => ({ status: 429, retryAfter: '120' })))
    await fails(fetch(), 'rate-limited', /in 120 s/)
  })

  it('connects to no address that it must not', async () => {
    const strict = new OutboundHttp({ allowPrivateTargets: false })
    await fails(fetch(undefined, {}, downloads({ http: strict })), 'blocked', /does not fetch from/)
    await strict.close()
  })

  it('remembers what a repository does not have', async () => {
    await fetch('config.json')
    await expect(fetch('unet/y.safetensors')).rejects.toEqual(reason('not-found', ''))
    expect(await cache.isMarkedMissing('owner/name', hub.commitOf('owner/name'), 'unet/y.safetensors')).toBe(true)
  })
})
