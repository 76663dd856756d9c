import type { RequestQueue } from '../queue/request-queue.ts'

/** The part of the queue that a runner works with. */
export type RunnerQueue = Pick<
  RequestQueue,
  | 'leaseSeconds'
  | 'claim'
  | 'peek'
  | 'heartbeat'
  | 'appendLogs'
  | 'complete'
  | 'retry'
  | 'release'
  | 'onWork'
  | 'advertise'
  | 'withdraw'
>
