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
  readonly runnerDevices: Gauge
}

/** @param processMetrics also collect memory, CPU, event loop and garbage collection of the process */
export function createGatewayMetrics(processMetrics = false): GatewayMetrics {
  const registry = new Registry()
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
    openStreams: new Gauge({
      name: 'darkroom_open_streams',
      help: 'Event streams open now',
      labelNames: ['kind'],
      registers: [registry],
    }),
    queueRequests: new Gauge({
      name: 'darkroom_queue_requests',
      help: 'Requests that wait or run',
      labelNames: ['endpoint', 'state'],
      registers: [registry],
    }),
    runnerDevices: new Gauge({
      name: 'darkroom_runner_devices',
      help: 'Runners by what they draw with',
      labelNames: ['device', 'precision'],
      registers: [registry],
    }),
    runners: new Gauge({
      name: 'darkroom_runners',
      help: 'Runners heard of within the lease time',
      registers: [registry],
    }),
    storedBytes: new Gauge({
      name: 'darkroom_stored_bytes',
      help: 'Bodies of requests and files that are kept',
      labelNames: ['kind'],
      registers: [registry],
    }),
    storedBudgetBytes: new Gauge({
      name: 'darkroom_stored_budget_bytes',
      help: 'What of them is kept at most',
      labelNames: ['kind'],
      registers: [registry],
    }),
    diskFreeBytes: new Gauge({
      name: 'darkroom_disk_free_bytes',
      help: 'Free on the disk of the data folder',
      registers: [registry],
    }),
  }
}
