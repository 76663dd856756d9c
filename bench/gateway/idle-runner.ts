/** The runner process of `overhead.ts`: an endpoint that does nothing, advertised to the parent. */
import type { RunnableEndpoint } from '../../packages/server/src/endpoints/endpoint.ts'
import { createProcessLog } from '../../packages/server/src/log/process-log.ts'
import { startRunner } from '../../packages/server/src/runner/runner.ts'
import type { RunnerQueue } from '../../packages/server/src/runner/runner-queue.ts'
import { idleSchema, wait } from './idle-endpoint.ts'

const idle: RunnableEndpoint = {
  schema: idleSchema,
  async *handler(input) {
    yield* []
    return { images: [], seed: 1, waited_ms: await wait((input as { wait_ms?: number }).wait_ms) }
  },
}

const never = () => Promise.reject(new Error('this bench has no queue'))
const queue: RunnerQueue = {
  leaseSeconds: 6,
  claim: async () => undefined,
  peek: async () => undefined,
  heartbeat: async () => [],
  appendLogs: never,
  complete: never,
  retry: never,
  release: never,
  onWork: () => () => {},
  advertise: async (advertisement) => void process.send?.(advertisement),
  withdraw: async () => {},
}

await startRunner({
  queue,
  endpoints: [idle],
  capacity: 64,
  files: () => ({ saveFile: never, readFile: never, openOwnFile: never }),
  log: createProcessLog('error'),
  arithmetic: { device: 'cpu', precision: 'exact' },
  memoryBytes: 0,
})
process.once('disconnect', () => process.exit(0))
