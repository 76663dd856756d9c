import { useQuery } from '@tanstack/react-query'
import { callServer, PlatformError } from './connection.ts'
import { type MetricSample, parseMetrics } from './metrics-text.ts'

export interface ServerState {
  readonly ready: boolean
  /** What the server depends on, each `ok` or what is wrong with it. */
  readonly checks: Readonly<Record<string, string>>
  readonly samples: readonly MetricSample[]
}

const EVERY_MILLISECONDS = 2000
const UNAUTHORIZED = 401

export function useServerState() {
  return useQuery({
    queryKey: ['server-state'],
    queryFn: readServerState,
    // Whoever has been refused is asked for a key once, not every time.
    refetchInterval: ({ state: { error } }) =>
      error instanceof PlatformError && error.status === UNAUTHORIZED ? false : EVERY_MILLISECONDS,
  })
}

async function readServerState(): Promise<ServerState> {
  const [ready, metrics] = await Promise.all([callServer('/ready'), callServer('/metrics')])
  const { checks = {} } = (await ready.json()) as { checks?: Record<string, string> }
  return { ready: ready.ok, checks, samples: parseMetrics(await metrics.text()) }
}
