import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** The gateway's numbers, in a registry of their own so that several servers can live in one process. */
export interface GatewayMetrics {
  readonly registry: Registry
  readonly httpRequests: Counter<'surface' | 'method' | 'status'>
  readonly httpSeconds: Histogram<'surface' | 'method'>
  readonly openStreams: Gauge<'kind'>
  /** Requests that wait or run, and runners: read from the queue when the numbers are asked for. */
  readonly queueRequests: Gauge<'endpoint' | 'state'>
  readonly runners: Gauge
  /** As the disk was last looked at. */
  readonly storedBytes: Gauge<'kind'>
  readonly storedBudgetBytes: Gauge<'kind'>
  readonly diskFreeBytes: Gauge
  readonly runnerDevices: Gauge<'device' | 'precision'>
  readonly runnerBusy: Gauge<'runner' | 'device' | 'precision'>
  readonly runnerCapacity: Gauge<'runner'>
  readonly runnerResidentBytes: Gauge<'runner'>
  readonly runnerMachineBytes: Gauge<'runner'>
}

/** @param processMetrics also collect memory, CPU, event loop and garbage collection of the process */
export function createGatewayMetrics(processMetrics = false): GatewayMetrics {
  const registry = new Registry()
  const gauge = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []): Gauge<Label> =>
    new Gauge({ name, help, labelNames, registers: [registry] })
  if (processMetrics) collectDefaultMetrics({ register: registry })
  return {
    registry,
    httpRequests: new Counter({
      name: 'darkroom_http_requests_total',
      help: 'HTTP requests answered',
      labelNames: ['surface', 'method', 'status'],
      registers: [registry],
    }),
    httpSeconds: new Histogram({
      name: 'darkroom_http_request_duration_seconds',
      help: 'Time from the request to the head of its response',
      labelNames: ['surface', 'method'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
      registers: [registry],
    }),
    openStreams: gauge('darkroom_open_streams', 'Event streams open now', ['kind']),
    queueRequests: gauge('darkroom_queue_requests', 'Requests that wait or run', ['endpoint', 'state']),
    runnerDevices: gauge('darkroom_runner_devices', 'Runners by what they draw with', ['device', 'precision']),
    runners: gauge('darkroom_runners', 'Runners heard of within the lease time'),
    storedBytes: gauge('darkroom_stored_bytes', 'Bodies of requests and files that are kept', ['kind']),
    storedBudgetBytes: gauge('darkroom_stored_budget_bytes', 'What of them is kept at most', ['kind']),
    runnerBusy: gauge('darkroom_runner_busy', 'Requests that a runner works on', ['runner', 'device', 'precision']),
    runnerCapacity: gauge('darkroom_runner_capacity', 'Requests that a runner takes at a time', ['runner']),
    runnerResidentBytes: gauge('darkroom_runner_resident_bytes', 'Memory that a runner holds', ['runner']),
    runnerMachineBytes: gauge('darkroom_runner_machine_bytes', 'Memory of the machine of a runner', ['runner']),
    diskFreeBytes: gauge('darkroom_disk_free_bytes', 'Free on the disk of the data folder'),
  }
}
