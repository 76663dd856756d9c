/**
 * A worker on pg-boss. Its jobs have no webhooks: as applications do, the handler sends one when its work is done, and the
 * job fails and is tried again when that did not succeed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Journal } from '../journal.ts'
import { PEER_QUEUE, type PeerJob, type PeerSetup, startPgBoss } from './peer-setup.ts'
import { receiveSetup, stopOnTerm } from './setup.ts'

const setup = await receiveSetup<PeerSetup>()
const boss = await startPgBoss(setup)
const journal = new Journal(setup.journal)
await boss.work(PEER_QUEUE, { pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5, batchSize: 1 }, work)
stopOnTerm(() => boss.stop({ graceful: false }))
journal.write({ event: 'up' })
process.send?.({ ready: '' })

async function work([job]: PeerJob[]): Promise<object> {
  if (job === undefined) return {}
  const execution = crypto.randomUUID()
  journal.write({ event: 'start', requestId: job.id, execution })
  await sleep(job.data.ms)
  journal.write({ event: 'end', requestId: job.id, execution })
  const result = { token: job.data.token, execution, pid: process.pid }
  const body = JSON.stringify({ request_id: job.id, status: 'OK', payload: result })
  const response = await fetch(job.data.webhook, { method: 'POST', body })
  if (!response.ok) throw new Error(`the receiver answered ${response.status}`)
  return result
}
