import { useQuery } from '@tanstack/react-query'
import { callServer } from './connection.ts'

export interface ServerState {
  readonly ready: boolean
  /** What the server depends on, each `ok` or what is wrong with it. */
  readonly checks: Readonly<Record<string, string>>
  readonly samples: readonly MetricSample[]
}

/** One line of the metrics' text. */
export interface MetricSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const EVERY_MS = 2000

export function useServerState() {
  return useQuery({ queryKey: ['server-state'], queryFn: readServerState, refetchInterval: EVERY_MS })
}

async function readServerState(): Promise<ServerState> {
  const [ready, metrics] = await Promise.all([callServer('/ready'), callServer('/metrics')])
  const { checks = {} } = (await ready.json()) as { checks?: Record<string, string> }
  return { ready: ready.ok, checks, samples: parseMetrics(await metrics.text()) }
}

/** Prometheus' text format, as far as this server writes it. */
export function parseMetrics(text: string): readonly MetricSample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^([a-z_][\w:]*)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? []
    if (name === undefined || value === undefined) return []
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text])
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }]
  })
}

export function sumOf(samples: readonly MetricSample[], name: string, labels: Record<string, string> = {}): number {
  return samples
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    )
    .reduce((sum, { value }) => sum + value, 0)
}
