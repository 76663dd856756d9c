interface Placed {
  readonly turn: number
}

interface Line {
  underway: number
  /** The last turn that was given to one of them; not known before the first of them is stored. */
  last: number | undefined
  /** Resolves when the first of them is stored, or was not. */
  first: Promise<unknown> | undefined
}

/**
 * Keeps the turns of requests apart that one account submits at the same time. Where several write at once, none of them sees the others
 * before they are committed, and all would be given the same turn: an account could have as many in each turn as there are connections.
 *
 * What other processes accept just then is not known here, so through several gateways at once an account may have a request of each in a turn.
 */
export class ParallelTurns {
  readonly #lines = new Map<string, Line>()

  /**
   * Stores a request, in turn with others of its line that are being stored.
   * @param store is given the turn after the line's last, where that is known here, and resolves with the request's
   */
  async place<T extends Placed>(lineName: string, store: (next: number | undefined) => Promise<T>): Promise<T> {
    const line = this.#lines.get(lineName) ?? { underway: 0, last: undefined, first: undefined }
    this.#lines.set(lineName, line)
    line.underway += 1
    try {
      while (line.last === undefined && line.first !== undefined) await line.first
      if (line.last === undefined) {
        const first = storeFirst(line, store)
        line.first = first.catch(() => undefined)
        return await first
      }
      line.last += 1
      const placed = await store(line.last)
      line.last = Math.max(placed.turn, line.last)
      return placed
    } finally {
      line.underway -= 1
      if (line.underway === 0) this.#lines.delete(lineName)
    }
  }
}

async function storeFirst<T extends Placed>(line: Line, store: (next: number | undefined) => Promise<T>): Promise<T> {
  try {
    const placed = await store(undefined)
    line.last = placed.turn
    return placed
  } finally {
    line.first = undefined
  }
}
