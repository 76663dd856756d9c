/** Entry of a whole server, as `darkroom serve`, with the product's own endpoints. */
import type { Config } from '../../../packages/server/src/config/config.ts'
import { createProcessLog } from '../../../packages/server/src/log/process-log.ts'
import { startServer } from '../../../packages/server/src/processes/server-process.ts'
import { receiveSetup, stopOnTerm } from '../../crash/processes/setup.ts'

const config = await receiveSetup<Config>()
const server = await startServer(config, createProcessLog(config.logLevel))
process.on('message', (message) => {
  if (typeof message !== 'object' || message === null) return
  const children = server.runners.supervisors.flatMap(({ child }) => child ?? [])
  if ('list' in message) process.send?.({ runners: children.map(({ pid }) => pid) })
  if ('strike' in message)
    process.send?.({ struck: children.map((child) => child.kill(message.strike as NodeJS.Signals)) })
})
stopOnTerm(() => server.stop())
await server.runners.ready
process.send?.({ ready: server.url })
