import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { EndpointSchema, RunnableEndpoint } from '../../packages/server/src/endpoints/endpoint.ts'
import type { Journal } from './journal.ts'

export const WORK_ENDPOINT_ID = 'crash/work'

const input = z.object({
  token: z.string().describe('Comes back in the output, to tell whose answer it is'),
  ms: z.number().describe('How long the work takes'),
  hold: z.string().default('').describe('A file, as long as which is there the work is not done'),
  leak_bytes: z.number().default(0).describe('Memory that is taken and never given back'),
})
const output = z.object({ token: z.string(), execution: z.string(), pid: z.number() })

/** An endpoint without a model: it takes as long as it is told to. */
export const workSchema: EndpointSchema = {
  id: WORK_ENDPOINT_ID,
  aliases: [],
  title: 'Work',
  description: 'Takes a while',
  category: 'bench',
  input,
  output,
  realtime: true,
}

const HOLD_POLL_MILLISECONDS = 10

const leaked: Uint8Array[] = []

/** Notes in the journal when each execution began and ended. */
export function workEndpoint(journal: Journal): RunnableEndpoint {
  return {
    schema: workSchema,
    async *handler(raw, { requestId, signal }) {
      yield* []
      const { token, ms, hold, leak_bytes: leakBytes } = raw as z.output<typeof input>
      const execution = crypto.randomUUID()
      journal.write({ event: 'start', requestId, execution })
      // Filled, because untouched pages are not there.
      if (leakBytes > 0) leaked.push(new Uint8Array(leakBytes).fill(1))
      await sleep(ms, undefined, { signal })
      while (hold !== '' && existsSync(hold)) await sleep(HOLD_POLL_MILLISECONDS, undefined, { signal })
      journal.write({ event: 'end', requestId, execution })
      return { token, execution, pid: process.pid }
    },
  }
}
