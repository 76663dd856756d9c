import type { RequestRecord } from '../queue/request-queue.ts'

export type HistoryStatus = 'success' | 'error' | 'user_error'

export interface HistoryQuery {
  readonly endpointId: string
  /** Only requests of this key; absent in no-key mode and for ADMIN keys. */
  readonly keyId?: string
  readonly requestId?: string
  /** Bounds of the time a request was accepted. */
  readonly from?: Date
  readonly until?: Date
  readonly status?: HistoryStatus
  readonly sortBy: 'ended_at' | 'duration'
  readonly limit: number
  readonly offset: number
}

/** Lists the requests of an endpoint, newest (or longest) first. */
export interface RequestHistory {
  list(query: HistoryQuery): Promise<readonly RequestRecord[]>
}
