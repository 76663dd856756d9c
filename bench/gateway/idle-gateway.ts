/**
 * The gateway process of `overhead.ts`, as production starts it: database, recording of runs, file store and metrics
 * included. The parent sends the advertisements of the one runner, and `cpu` to ask for the processor time used so far.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../packages/server/src/config/config.ts'
import { createProcessLog } from '../../packages/server/src/log/process-log.ts'
import { startGateway } from '../../packages/server/src/processes/gateway-process.ts'
import { openBackingStores } from '../../packages/server/src/processes/stores.ts'
import type { RunnerAdvertisement } from '../../packages/server/src/queue/request-queue.ts'
import { answerCpuQuestions } from './cpu-question.ts'
import { idleSchema } from './idle-endpoint.ts'

const dataFolder = mkdtempSync(join(tmpdir(), 'darkroom-bench-'))
process.once('exit', () => rmSync(dataFolder, { recursive: true, force: true }))
const config = readConfig({ host: '127.0.0.1', port: 0, dataFolder }, {})
const stores = await openBackingStores(config)
process.on('message', (message) => {
  if (message !== 'cpu') void stores.queue.advertise(message as RunnerAdvertisement)
})
const gateway = await startGateway(config, stores, createProcessLog('warn'), [idleSchema])
answerCpuQuestions()
process.send?.(Number(new URL(gateway.url).port))
process.once('disconnect', async () => {
  await gateway.close()
  await stores.close()
  process.exit(0)
})
