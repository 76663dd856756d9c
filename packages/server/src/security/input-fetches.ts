import { SharedSlots } from '../waiting/shared-slots.ts'

/** Who a fetch is for, and where from. */
export type InputFetches = SharedSlots<'key' | 'host'>

/**
 * Input files are fetched several at once: of one key as many as one client may have others wait for, from one host as many as one slow
 * server may. A slow server answers within 30 s or not at all, so that these are some fetches a second for everybody even where all of
 * them are slow.
 */
export function inputFetches(): InputFetches {
  return new SharedSlots({ total: 32, shares: { key: 8, host: 6 }, turnsOf: 'key' })
}
