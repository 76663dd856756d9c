import { describe } from 'vitest'
import { BACKENDS } from './backends.ts'
import { describeLeases } from './leases.contract.ts'
import { describePayloads } from './payloads.contract.ts'
import { describeProcesses } from './processes.contract.ts'
import { describeQueueEvents } from './queue-events.contract.ts'
import { QueueFixture } from './queue-fixture.ts'
import { describeRequests } from './request-queue.contract.ts'
import { describeTurns } from './turns.contract.ts'

// One file for all, because PGlite is started once per file.
describe.each(BACKENDS)('queue on $name', (backend) => {
  const fixture = new QueueFixture(backend)
  describe('requests', () => describeRequests(fixture))
  describe('turns', () => describeTurns(fixture))
  describe('payloads', () => describePayloads(fixture))
  describe('leases', () => describeLeases(fixture))
  describe('events', () => describeQueueEvents(fixture))
  if (backend.prepare !== undefined) describeProcesses(backend.prepare)
})
