import { useInfiniteQuery } from '@tanstack/react-query'
import type { Input } from '../schema/starting-input.ts'
import { callServer } from './connection.ts'

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
  readonly endpointId: string
  /** Empty: every outcome. */
  readonly status: '' | 'success' | 'error' | 'user_error'
}

const PER_PAGE = 24
const UNDER_WAY_MILLISECONDS = 1500

function isUnderWay({ items }: RequestsPage): boolean {
  return items.some(({ ended_at }) => ended_at === null)
}

/** Requests that the server has kept, newest first, a page at a time. */
export function useHistory({ endpointId, status }: HistoryFilter) {
  return useInfiniteQuery({
    queryKey: ['history', endpointId, status],
    enabled: endpointId !== '',
    initialPageParam: '',
    queryFn: async ({ pageParam }): Promise<RequestsPage> => {
      const query = new URLSearchParams({ endpoint_id: endpointId, limit: String(PER_PAGE), expand: 'payloads' })
      if (status !== '') query.set('status', status)
      if (pageParam !== '') query.set('cursor', pageParam)
      return (await callServer(`/v1/models/requests/by-endpoint?${query}`)).json()
    },
    getNextPageParam: ({ has_more, next_cursor }) => (has_more ? (next_cursor ?? undefined) : undefined),
    // What is under way ends while one looks.
    refetchInterval: ({ state }) => (state.data?.pages.some(isUnderWay) ? UNDER_WAY_MILLISECONDS : false),
  })
}

/** Erases what a finished request was given and answered. */
export async function erasePayload(requestId: string): Promise<void> {
  await callServer(`/v1/models/requests/${requestId}/payloads`, { method: 'DELETE' })
}
