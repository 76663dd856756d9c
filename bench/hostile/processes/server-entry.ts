/** Entry of a whole server, as `darkroom serve`, with the product's own endpoints. */
import type { Config } from '../../../packages/server/src/config/config.ts'
import { createProcessLog } from '../../../packages/server/src/log/process-log.ts'
import { startServer } from '../../../packages/server/src/processes/server-process.ts'
import { receiveSetup, stopOnTerm } from '../../crash/processes/setup.ts'

/** Milliseconds between two looks at the event loop. */
const LOOK_MILLISECONDS = 5

const config = await receiveSetup<Config>()
const server = await startServer(config, createProcessLog(config.logLevel))
const loop = watchLoop()
process.on('message', (message) => {
  if (typeof message !== 'object' || message === null) return
  const children = server.runners.supervisors.flatMap(({ child }) => child ?? [])
  if ('list' in message) process.send?.({ runners: children.map(({ pid }) => pid) })
  if ('loop' in message) {
    process.send?.({ loopMax: loop.most })
    if (message.loop === 'reset') loop.most = 0
  }
  if ('strike' in message)
    process.send?.({ struck: children.map((child) => child.kill(message.strike as NodeJS.Signals)) })
})
stopOnTerm(() => server.stop())
await server.runners.ready
process.send?.({ ready: server.url })

/**
 * Watches how long the event loop is held, in milliseconds: the time between two looks, but no more than the processor time that this
 * process took meanwhile, for a busy machine makes it wait as well.
 */
function watchLoop(): { most: number } {
  const seen = { most: 0 }
  let time = performance.now()
  let { user, system } = process.cpuUsage()
  setInterval(() => {
    const now = performance.now()
    const used = process.cpuUsage()
    const processor = (used.user + used.system - user - system) / 1000
    seen.most = Math.max(seen.most, Math.min(now - time, processor))
    time = now
    user = used.user
    system = used.system
  }, LOOK_MILLISECONDS).unref()
  return seen
}
