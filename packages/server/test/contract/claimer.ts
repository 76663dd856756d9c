import { openDatabase } from '../../src/db/open-database.ts'
import { LocalEvents } from '../../src/queue/events/local-events.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import { DONE, ENDPOINT } from './queue-samples.ts'

/** A runner in a process of its own: on `go` takes and completes requests until none is left, then says which. */
const [config, runnerId] = process.argv.slice(2)
if (config === undefined || runnerId === undefined) throw new Error('Usage: claimer.ts CONFIG_JSON RUNNER_ID')
const database = await openDatabase(JSON.parse(config))
const events = new LocalEvents()
events.bridge(process)
const queue = createRequestQueue(database, { events })
const go = new Promise<void>((resolve) => {
  process.on('message', (message) => {
    if (message === 'go') resolve()
  })
})
process.send?.('ready')
await go
const taken: string[] = []
for (;;) {
  const claim = await queue.claim(runnerId, [ENDPOINT], [])
  if (claim === undefined) break
  taken.push(claim.requestId)
  await queue.complete(claim, DONE)
}
await queue.close()
await events.close()
await database.close()
process.send?.({ taken }, () => process.disconnect())
