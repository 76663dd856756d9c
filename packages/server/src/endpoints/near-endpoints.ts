import { editDistance } from './edit-distance.ts'

/** Most ids that an answer names. */
const MOST_NAMED = 4
/** Share of letters that a slip of the hand may get wrong. */
const SLIP = 0.4

/**
 * Ids that somebody may have meant: the others of the same application, those that hold what was asked for or are held by it, and
 * those that are spelled nearly so.
 * @returns the nearest first, at most four
 */
export function nearEndpoints(asked: string, ids: readonly string[]): readonly string[] {
  const wanted = plain(asked)
  return ids
    .map((id) => ({ id, distance: distanceOf(wanted, plain(id)) }))
    .filter(({ distance }) => distance <= SLIP)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MOST_NAMED)
    .map(({ id }) => id)
}

function plain(id: string): string {
  return id
    .toLowerCase()
    .replace(/[^a-z0-9/]+/g, '-')
    .slice(0, 200)
}

/** 0 for the same, 1 for nothing in common; by the part behind the owner. */
function distanceOf(asked: string, id: string): number {
  const [a, b] = [behindOwner(asked), behindOwner(id)]
  const share = editDistance(a, b) / Math.max(a.length, b.length, 1)
  const isPart = a.length > 2 && (a.startsWith(b) || b.startsWith(a))
  return isPart ? Math.min(share, SLIP) / 2 : share
}

function behindOwner(id: string): string {
  return id.slice(id.indexOf('/') + 1)
}
