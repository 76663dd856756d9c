import { LocalEvents } from '../../packages/server/src/queue/events/local-events.ts'
import { createContender } from './contender.ts'

/** The runner's process: reports when each request started, by the clock all processes of a machine share. */
const [spec] = process.argv.slice(2)
if (spec === undefined) throw new Error('Usage: runner.ts SPEC_JSON')
const contender = await createContender(JSON.parse(spec))
if ('events' in contender && contender.events instanceof LocalEvents) contender.events.bridge(process)
const stop = await contender.work((requestId) => {
  process.send?.({ started: requestId, at: performance.timeOrigin + performance.now() })
})
process.on('message', async (message) => {
  if (message !== 'stop') return
  await stop()
  await contender.close()
  process.disconnect()
})
process.send?.('ready')
