import { WireError } from '../errors/errors.ts'

/** What is stored, and what may be, in bytes. */
export interface DiskFigures {
  /** Bodies of requests in the database; absent until they were counted. */
  readonly payloadBytes?: number
  readonly payloadBudgetBytes: number
  /** Uploaded and generated files; absent until they were counted. */
  readonly fileBytes?: number
  readonly fileBudgetBytes: number
  /** Free on the disk of the data folder; absent where nothing that grows lies there. */
  readonly freeBytes?: number
  /** What of it is left for this server's own needs. */
  readonly reserveBytes: number
}

/** `low`: little more than the reserve is free. `full`: nothing new is taken. */
export type DiskState = 'ok' | 'low' | 'full'

/** The part of the reserve that has to be free beside it. */
const LOW_SHARE = 2

export function diskState(figures: DiskFigures): DiskState {
  if (fullness(figures) !== undefined) return 'full'
  const { freeBytes, reserveBytes } = figures
  return freeBytes !== undefined && freeBytes < reserveBytes * LOW_SHARE ? 'low' : 'ok'
}

/**
 * Refuses what would be stored while there is no room for it: the disk is never filled to where the database could not end what it has
 * begun.
 * @throws WireError 507
 */
export function requireRoom(figures: DiskFigures | undefined): void {
  const reason = figures === undefined ? undefined : fullness(figures)
  if (reason !== undefined) throw new WireError(507, `This server takes nothing new at the moment: ${reason}`)
}

/** What is over its budget here could not be brought below it: it waits, runs, or was stored within the last hour. */
function fullness(figures: DiskFigures): string | undefined {
  const { payloadBytes = 0, fileBytes = 0, freeBytes = Number.POSITIVE_INFINITY } = figures
  if (freeBytes < figures.reserveBytes) return 'its disk is nearly full'
  if (payloadBytes > figures.payloadBudgetBytes) return 'requests that wait take all the room that it has for them'
  if (fileBytes > figures.fileBudgetBytes) return 'files of the last hour take all the room that it has for them'
  return undefined
}

/** As `/health` shows them. */
export function diskBody(figures: DiskFigures) {
  return {
    status: diskState(figures),
    payload_bytes: figures.payloadBytes ?? null,
    payload_budget_bytes: figures.payloadBudgetBytes,
    file_bytes: figures.fileBytes ?? null,
    file_budget_bytes: figures.fileBudgetBytes,
    free_bytes: figures.freeBytes ?? null,
    reserve_bytes: figures.reserveBytes,
  }
}
