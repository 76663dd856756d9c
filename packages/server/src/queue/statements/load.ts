import { sql } from 'kysely'
import type { QueueContext } from '../context.ts'
import type { EndpointLoad } from '../request-queue.ts'

/** How many requests of each endpoint wait and run. */
export async function load(context: QueueContext): Promise<EndpointLoad[]> {
  const [queued, running] = await Promise.all([counts(context, 'queued'), counts(context, 'running')])
  const endpointIds = [...new Set([...queued.keys(), ...running.keys()])].sort()
  return endpointIds.map((endpointId) => ({
    endpointId,
    queued: queued.get(endpointId) ?? 0,
    running: running.get(endpointId) ?? 0,
  }))
}

async function counts(context: QueueContext, state: 'queued' | 'running'): Promise<Map<string, number>> {
  const rows = await context.database.read((query) =>
    query
      .selectFrom('requests')
      .select((eb) => ['endpoint_id', eb.fn.countAll<number>().as('count')])
      .where('state', '=', sql.lit(state))
      .groupBy('endpoint_id')
      .execute(),
  )
  return new Map(rows.map((row) => [row.endpoint_id, row.count]))
}
