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

it('counts what several processes note at once', async () => {
  // Locks belong to open files, so that two ledgers are to each other what two processes are.
  const ledgers = Array.from({ length: 4 }, () => new UsageLedger(folder))
  const files = ledgers.map((_, i) => ({ path: `file-${i}`, size: 1 }))
  await Promise.all(
    ledgers.map((ledger, i) => ledger.addFetched('hub:owner/name', 'owner/name', files.slice(i, i + 1))),
  )
  const [record] = await new UsageLedger(folder).records()
  expect(record?.fetched.toSorted((a, b) => a.path.localeCompare(b.path))).toEqual(files)
})
