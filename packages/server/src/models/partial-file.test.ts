import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ByteRanges } from './byte-ranges.ts'
import { PartialFile } from './partial-file.ts'
import { toModelError } from './transfer-error.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-partial-'))
})
afterEach(() => rm(folder, { recursive: true }))

const at = (name: string) => join(folder, name)
const bytes = (text: string) => new TextEncoder().encode(text)

describe('PartialFile', () => {
  it('goes on from what was there, in whatever order it came', async () => {
    const first = await PartialFile.open(at('x'), 'etag')
    await first.write([bytes('wor'), bytes('ld')], 6)
    await first.write([bytes('he')], 0)
    await first.keep()
    const second = await PartialFile.open(at('x'), 'etag')
    expect(second.ranges.missing(11, 100)).toEqual([[2, 6]])
    await second.write([bytes('llo ')], 2)
    await second.place(at('whole'))
    expect(await readFile(at('whole'), 'utf8')).toBe('hello world')
    expect(await readdir(folder)).toEqual(['whole'])
  })

  it.each([['another'], [undefined]])('begins anew for other bytes: %j', async (identity) => {
    const first = await PartialFile.open(at('x'), 'etag')
    await first.write([bytes('old')], 0)
    await first.keep()
    const second = await PartialFile.open(at('x'), identity)
    expect(second.ranges.length).toBe(0)
    await second.discard()
    expect(await readdir(folder)).toEqual([])
  })

  it.each([
    ['', 'no JSON'],
    ['{"identity":"etag","ranges":[[0,', 'half a journal'],
    ['{"identity":"etag","ranges":[[0,-1]]}', 'no ranges'],
    ['{"identity":"etag","ranges":[[0,900]]}', 'more than the file has'],
    ['[]', 'no object'],
  ])('believes no journal like %j (%s)', async (journal) => {
    await writeFile(at('x'), 'abc')
    await writeFile(at('x.journal'), journal)
    const partial = await PartialFile.open(at('x'), 'etag')
    expect(partial.ranges.length).toBe(0)
    await partial.discard()
  })

  it.runIf(existsSync('/dev/full'))('says so when the disk is full', async () => {
    await symlink('/dev/full', at('x'))
    const partial = await PartialFile.open(at('x'), 'etag')
    const error = await partial.write([bytes('abc')], 0).catch((thrown: unknown) => toModelError(thrown, 'owner/name'))
    expect(error).toMatchObject({
      reason: 'disk-full',
      message: expect.stringContaining('owner/name could not be stored'),
    })
    expect(partial.ranges.length).toBe(0)
    await partial.keep()
  })
})

describe('ByteRanges', () => {
  it('joins what touches', () => {
    const ranges = new ByteRanges([
      [10, 20],
      [30, 40],
      [0, 5],
    ])
    ranges.add(20, 30)
    ranges.add(4, 6)
    ranges.add(7, 7)
    expect(ranges.ranges).toEqual([
      [0, 6],
      [10, 40],
    ])
    expect([ranges.length, ranges.prefix]).toEqual([36, 6])
  })

  it('names what is missing, in pieces', () => {
    expect(new ByteRanges([[3, 5]]).missing(12, 3)).toEqual([
      [0, 3],
      [5, 8],
      [8, 11],
      [11, 12],
    ])
    expect(new ByteRanges([[0, 12]]).missing(12, 3)).toEqual([])
    expect(new ByteRanges().missing(0, 3)).toEqual([])
  })
})
