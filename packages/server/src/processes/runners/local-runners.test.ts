import { availableParallelism } from 'node:os'
import { expect, it, vi } from 'vitest'
import { SILENT_LOG } from '../../../test/fakes/silent-log.ts'
import { readConfig } from '../../config/config.ts'
import type { BackingStores } from '../stores.ts'
import { runnerConfig, superviseLocalRunners } from './local-runners.ts'

it('gives each runner of a machine its port and its share of the cores', () => {
  const config = readConfig({ runners: { count: 2, port: 3100 } }, {})
  const share = Math.max(1, Math.floor(availableParallelism() / 2))
  expect([0, 1].map((index) => runnerConfig(config, index))).toMatchObject([
    { threads: share, runners: { number: 0, port: 3100 } },
    { threads: share, runners: { number: 1, port: 3101 } },
  ])
  const chosen = readConfig({ runners: { count: 2 } }, { DARKROOM_THREADS: '7' })
  expect(runnerConfig(chosen, 1)).toMatchObject({ threads: 7, runners: { port: 0 } })
})

it('ends the bridge to a runner that died, and returns to the queue what it held', async () => {
  const withdrawn: string[] = []
  const bridge = { made: 0, ended: 0 }
  const stores = {
    queue: { leaseSeconds: 1, withdraw: async (runnerId: string) => void withdrawn.push(runnerId) },
    bridge() {
      bridge.made += 1
      return () => {
        bridge.ended += 1
      }
    },
  } as unknown as BackingStores
  const entry = new URL('../../../test/fakes/supervised-process.ts', import.meta.url)
  const config = readConfig({ runners: { count: 1 } }, {})
  const runners = superviseLocalRunners(config, stores, SILENT_LOG, entry)
  await runners.ready
  const child = runners.supervisors[0]?.child
  child?.kill('SIGKILL')
  await vi.waitFor(() => expect(bridge.made).toBe(2), { timeout: 10_000 })
  expect(bridge.ended).toBe(1)
  expect(withdrawn).toEqual([`runner-${child?.pid}`])
  await runners.stop()
  expect(bridge.ended).toBe(2)
})
