import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { zipOf } from '../../../engine/test/fixtures/archives.ts'
import { FakePythonIndex } from '../../test/fakes/fake-python-index.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { installLibraries } from './install-libraries.ts'
import { findLibraries, removeLibraries } from './installed-libraries.ts'
import { type LibraryPackage, openVinoPackage } from './openvino-package.ts'

const core = randomBytes(40_000)
const members = {
  'openvino/__init__.py': Buffer.from('pass'),
  'openvino/libs/libcore.so.1': core,
  'openvino/libs/libplugin.so': Buffer.from('plugin'),
  'openvino/libs/libunused.so': Buffer.from('unused'),
}
const wheel = zipOf(Object.entries(members).map(([name, data]) => ({ name, data, isStored: true })))
const library: LibraryPackage = {
  project: 'openvino',
  version: '1.0',
  fileName: 'openvino-1.0-py3-none-any.whl',
  bytes: wheel.length,
  sha256: createHash('sha256').update(wheel).digest('hex'),
  folder: 'openvino/libs',
  libraries: ['libcore.so.1', 'libplugin.so'],
}

const http = new OutboundHttp({ allowPrivateTargets: true })
const { signal } = new AbortController()
let index: FakePythonIndex
let root: string
let folder: string

beforeAll(() => {
  index = new FakePythonIndex('openvino', library.fileName, wheel)
  return index.listen()
})
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'acceleration-'))
  folder = join(root, 'libraries')
})
afterEach(async () => {
  Object.assign(index, { speaksJson: true, cutAfter: undefined, status: 200, servedBytes: 0 })
  index.replace(wheel)
  index.authorizations.length = 0
  await rm(root, { recursive: true })
})
afterAll(async () => {
  await http.close()
  await index.close()
})

const install = (overrides: Partial<Parameters<typeof installLibraries>[0]> = {}) =>
  installLibraries({ folder, library, source: { index: index.url, http }, signal, ...overrides })

async function storedBytes(): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name)))
  const sizes = await Promise.allSettled(files)
  return sizes.reduce((sum, each) => sum + (each.status === 'fulfilled' ? each.value.size : 0), 0)
}

describe('libraries of a package', () => {
  test.each([true, false])('are fetched and unpacked, the needed ones alone (JSON index: %s)', async (speaksJson) => {
    index.speaksJson = speaksJson
    const own = await install()
    expect((await readdir(own)).sort()).toEqual(['installation.json', 'libcore.so.1', 'libplugin.so'])
    expect(await readFile(join(own, 'libcore.so.1'))).toEqual(core)
    expect(await findLibraries(folder, library)).toEqual({ state: 'whole', folder: own })
    expect((await readdir(folder)).filter((name) => /tmp|whl/.test(name))).toEqual([])
    expect(await removeLibraries(folder)).toBe(true)
    expect(await findLibraries(folder, library)).toEqual({ state: 'absent' })
    expect(await removeLibraries(folder)).toBe(false)
  })

  test('that come half are gone on with, and nothing is installed until they are whole', async () => {
    const stop = new AbortController()
    index.cutAfter = 10_000
    const cut = install({ signal: stop.signal })
    // What the index has sent may not have come yet; what lies on the disk has.
    while ((await storedBytes()) < 10_000) await new Promise((resolve) => setTimeout(resolve, 5))
    stop.abort(new Error('enough'))
    await expect(cut).rejects.toThrow('enough')
    expect(await findLibraries(folder, library)).toEqual({ state: 'absent' })
    index.cutAfter = undefined
    index.servedBytes = 0
    await install()
    expect(index.servedBytes).toBeLessThan(wheel.length)
    expect(await findLibraries(folder, library)).toMatchObject({ state: 'whole' })
  })

  test('with another checksum are refused, from an index and from a file', async () => {
    const altered = Uint8Array.from(wheel)
    altered[100] = 255 - (altered[100] ?? 0)
    index.replace(altered)
    const refusal =
      /^This is not the openvino-1\.0-py3-none-any\.whl that Darkroom was tested with \(its SHA-256 differs\)/
    await expect(install()).rejects.toThrow(refusal)
    const file = join(root, 'some.whl')
    await writeFile(file, altered)
    await expect(install({ source: { file } })).rejects.toThrow(refusal)
    expect(await findLibraries(folder, library)).toEqual({ state: 'absent' })
    await writeFile(file, wheel)
    await install({ source: { file } })
    expect(await findLibraries(folder, library)).toMatchObject({ state: 'whole' })
    await expect(install({ source: { file: join(root, 'nowhere') } })).rejects.toThrow(/^There is no file .*nowhere\.$/)
  })

  test('that are cut short or lost later are told of', async () => {
    const own = await install()
    await truncate(join(own, 'libcore.so.1'), 100)
    const problem = 'libcore.so.1 of openvino 1.0 is damaged: run `darkroom accelerate` again'
    expect(await findLibraries(folder, library)).toEqual({ state: 'broken', problem })
    await install()
    await rm(join(own, 'installation.json'))
    expect(await findLibraries(folder, library)).toMatchObject({ state: 'broken' })
  })

  test('that a package lacks are named', async () => {
    const odd = { ...library, libraries: [...library.libraries, 'libmissing.so'] }
    await expect(install({ library: odd })).rejects.toThrow('openvino-1.0-py3-none-any.whl lacks libmissing.so.')
    expect((await readdir(folder)).filter((name) => name.includes('openvino-1.0.'))).toEqual([])
  })
})

describe('an index', () => {
  test('that fails, lacks the file or is away is one sentence', async () => {
    index.status = 503
    await expect(install()).rejects.toThrow(/^The package index at 127\.0\.0\.1:\d+ answered 503 for openvino\.$/)
    index.status = 200
    const other = { ...library, fileName: 'openvino-2.0.whl' }
    await expect(install({ library: other })).rejects.toThrow(/does not have openvino-2\.0\.whl\.$/)
    await expect(install({ source: { index: 'http://127.0.0.1:9/simple', http } })).rejects.toThrow(
      /^The package index at 127\.0\.0\.1:9 could not be asked \(.*\); fetch .* elsewhere and use --from\.$/,
    )
  })

  test('is shown the user name and password of its URL', async () => {
    await install({ source: { index: index.url.replace('://', '://user:p%40ss@'), http } })
    const expected = `Basic ${Buffer.from('user:p@ss').toString('base64')}`
    expect(new Set(index.authorizations)).toEqual(new Set([expected]))
  })
})

test('there is OpenVINO for the platforms that it was tested on, of the release that the engine loads', () => {
  expect(openVinoPackage('2026.4.1', ['a'], 'linux x64')).toMatchObject({ libraries: ['a'], bytes: 59_130_756 })
  expect(openVinoPackage('2026.4.1', ['a'], 'sunos sparc')).toBeUndefined()
  expect(openVinoPackage('2026.4.1', undefined, 'linux x64')).toBeUndefined()
  expect(openVinoPackage('2027.0.0', ['a'], 'linux x64')).toBeUndefined()
})
