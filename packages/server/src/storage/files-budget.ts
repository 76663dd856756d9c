import type { ObjectStore } from './object-store.ts'

const HOUR = 3_600_000
/** A file that was just stored is somebody's input or answer: it stays, whatever the budget. */
const KEPT_MILLISECONDS = HOUR

export interface StoredFiles {
  readonly files: number
  readonly bytes: number
}

/**
 * Removes the oldest files until what is left fits. Walks over all files, twice where there is something to remove: what is kept in
 * memory is a sum for each hour.
 * @returns what is left
 */
export async function trimFiles(
  store: Pick<ObjectStore, 'entries' | 'delete'>,
  budgetBytes: number,
  now: Date,
): Promise<StoredFiles> {
  const hours = new Map<number, number>()
  let files = 0
  let bytes = 0
  for await (const entry of store.entries()) {
    files += 1
    bytes += entry.bytes
    const hour = hourOf(entry.storedAt)
    hours.set(hour, (hours.get(hour) ?? 0) + entry.bytes)
  }
  const last = lastHourToRemove(hours, bytes - budgetBytes)
  if (last === undefined) return { files, bytes }
  const oldestKept = now.getTime() - KEPT_MILLISECONDS
  for await (const { key, bytes: size, storedAt } of store.entries()) {
    const hour = hourOf(storedAt)
    if (hour > last || storedAt.getTime() > oldestKept || (hour === last && bytes <= budgetBytes)) continue
    await store.delete(key)
    files -= 1
    bytes -= size
  }
  return { files, bytes }
}

/** The hour in which the files that have to go end, the oldest first; `undefined` where all fit. */
function lastHourToRemove(hours: ReadonlyMap<number, number>, excess: number): number | undefined {
  if (excess <= 0) return undefined
  let left = excess
  let last: number | undefined
  for (const [hour, bytes] of [...hours].sort(([a], [b]) => a - b)) {
    last = hour
    left -= bytes
    if (left <= 0) break
  }
  return last
}

function hourOf(date: Date): number {
  return Math.floor(date.getTime() / HOUR)
}
