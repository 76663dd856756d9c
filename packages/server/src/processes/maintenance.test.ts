import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SILENT_LOG } from '../../test/fakes/silent-log.ts'
import { readConfig } from '../config/config.ts'
import type { DiskUpkeep } from './disk-upkeep.ts'
import { startMaintenance } from './maintenance.ts'
import type { BackingStores } from './stores.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Maintenance of stores that hold nothing, in which a walk over the files takes so long. @returns when walks began, in seconds */
function watchedWalks(walkSeconds: number) {
  const idle = async () => {}
  const startedAt = performance.now()
  const walks: number[] = []
  const disk = {
    lookAtDisk: idle,
    trimPayloads: idle,
    async trimFiles() {
      walks.push((performance.now() - startedAt) / 1000)
      if (walkSeconds > 0) await new Promise((resolve) => setTimeout(resolve, walkSeconds * 1000))
    },
  } as unknown as DiskUpkeep
  const stores = { queue: { reap: idle, sweep: idle }, objects: { sweep: idle } } as unknown as BackingStores
  const config = readConfig({}, { DATABASE_URL: 'postgres://nowhere' })
  return { walks, stop: startMaintenance(config, stores, disk, SILENT_LOG) }
}

it('counts the files of a small store again after seconds', async () => {
  const { walks, stop } = watchedWalks(0)
  await vi.advanceTimersByTimeAsync(25_000)
  expect(walks).toEqual([0, 10, 20])
  stop()
  await vi.advanceTimersByTimeAsync(25_000)
  expect(walks).toHaveLength(3)
})

it.each([
  [2, 200],
  [60, 660],
])(
  'walks over files that take %s s again when a hundredth of the time, or ten minutes, allow it',
  async (takes, next) => {
    const { walks, stop } = watchedWalks(takes)
    await vi.advanceTimersByTimeAsync(next * 1000)
    expect(walks).toEqual([0, next])
    stop()
  },
)
