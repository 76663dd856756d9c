import { useInfiniteQuery } from '@tanstack/react-query'
import type { Input } from '../schema/starting-input.ts'
import { callServer } from './connection.ts'
import { type MergedPage, nextMergedPage, type PagedSource } from './merged-pages.ts'

export interface PastRequest {
  readonly request_id: string
  readonly endpoint_id: string
  readonly sent_at: string
  readonly ended_at: string | null
  readonly status_code: number | null
  readonly duration: number | null
  readonly json_input?: Input
  readonly json_output?: unknown
}

interface RequestsPage {
  readonly items: readonly PastRequest[]
  readonly next_cursor: string | null
  readonly has_more: boolean
}

export interface HistoryFilter {
  /** Whose requests are listed, as one list; the platform API lists those of one endpoint. */
  readonly endpointIds: readonly string[]
  /** Empty: every outcome. */
  readonly status: '' | 'success' | 'error' | 'user_error'
}

const PER_PAGE = 24
const UNDER_WAY_MILLISECONDS = 1500

function isUnderWay({ items }: MergedPage<PastRequest>): boolean {
  return items.some(({ ended_at }) => ended_at === null)
}

/** Requests that the server has kept, newest first, a page at a time. */
export function useHistory({ endpointIds, status }: HistoryFilter) {
  const start: readonly PagedSource<PastRequest>[] = endpointIds.map((id) => ({ id, cursor: '', held: [] }))
  return useInfiniteQuery({
    queryKey: ['history', endpointIds, status],
    enabled: endpointIds.length > 0,
    initialPageParam: start,
    queryFn: ({ pageParam }) => nextMergedPage(pageParam, PER_PAGE, pageReader(status), isNewer),
    getNextPageParam: ({ next }) => next,
    // What is under way ends while one looks.
    refetchInterval: ({ state }) => (state.data?.pages.some(isUnderWay) ? UNDER_WAY_MILLISECONDS : false),
  })
}

function pageReader(status: HistoryFilter['status']) {
  return async (endpointId: string, from: string) => {
    const query = new URLSearchParams({ endpoint_id: endpointId, limit: String(PER_PAGE), expand: 'payloads' })
    if (status !== '') query.set('status', status)
    if (from !== '') query.set('cursor', from)
    const response = await callServer(`/v1/models/requests/by-endpoint?${query}`)
    const { items, has_more, next_cursor } = (await response.json()) as RequestsPage
    return { items, cursor: has_more ? (next_cursor ?? undefined) : undefined }
  }
}

function isNewer(a: PastRequest, b: PastRequest): boolean {
  return a.sent_at > b.sent_at
}

/** Erases what a finished request was given and answered. */
export async function erasePayload(requestId: string): Promise<void> {
  await callServer(`/v1/models/requests/${requestId}/payloads`, { method: 'DELETE' })
}
