import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readConfig } from '../config/config.ts'
import { diskState } from '../gateway/disk-use.ts'
import { newFileKey } from '../storage/object-key.ts'
import { DiskUpkeep } from './disk-upkeep.ts'
import { openBackingStores } from './stores.ts'

it('counts what is stored and what is free, and says when what waits is over its budget', async () => {
  const dataFolder = await mkdtemp(join(tmpdir(), 'darkroom-upkeep-'))
  const config = readConfig(
    { dataFolder },
    { DARKROOM_PAYLOADS_BUDGET_BYTES: '20000', DARKROOM_FILES_BUDGET_BYTES: '50' },
  )
  const stores = await openBackingStores(config)
  const disk = new DiskUpkeep(config, stores)
  expect(diskState(disk.figures)).toBe('ok')
  await stores.objects.put(newFileKey('a.bin'), new Uint8Array(40), { contentType: 'text/plain' })
  await stores.queue.enqueue({
    requestId: 'waits',
    endpointId: 'fake/echo',
    input: JSON.stringify({ prompt: Array.from({ length: 5000 }, (_, index) => index).join(' ') }),
    priority: 'normal',
    filesUrl: 'http://files.test/cdn',
    retry: true,
    storeIo: true,
    account: 'default',
  })
  await disk.lookAtDisk()
  await disk.trimFiles()
  await disk.trimPayloads()
  expect(disk.figures).toMatchObject({ payloadBudgetBytes: 20_000, fileBytes: 40, fileBudgetBytes: 50 })
  expect(disk.figures.freeBytes).toBeGreaterThan(0)
  expect(disk.figures.payloadBytes).toBeGreaterThan(20_000)
  expect(diskState(disk.figures)).toBe('full')
  await stores.queue.cancel('waits')
  await disk.trimPayloads()
  expect(disk.figures.payloadBytes).toBe(0)
  expect(diskState(disk.figures)).toBe('ok')
  await stores.close()
  await rm(dataFolder, { recursive: true })
})
