import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { UsageLedger } from './usage-ledger.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usage-'))
})
afterEach(() => rm(folder, { recursive: true }))

it('counts all files of a model that come at once', async () => {
  const ledger = new UsageLedger(folder)
  const files = ['a', 'b', 'c'].map((path) => ({ path, size: 1 }))
  await Promise.all([
    ...files.map((file) => ledger.addFetched('hub:owner/name', 'owner/name', [file])),
    ledger.touch('hub:owner/name', 'owner/name'),
  ])
  const [record, ...others] = await ledger.records()
  expect(others).toEqual([])
  expect(record?.fetched).toEqual(files)
})
