import { availableParallelism } from 'node:os'
import { expect, it } from 'vitest'
import { readConfig } from '../../config/config.ts'
import { runnerConfig } from './local-runners.ts'

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
