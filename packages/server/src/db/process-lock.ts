import { existsSync } from 'node:fs'
import Libsql from 'libsql'

/** `isLocked` holds a file for less than this; who locks it holds it for good. */
const BUSY_MILLISECONDS = 250

export interface ProcessLock {
  release(): void
}

/**
 * Locks a file for as long as this process lives, by SQLite's own file lock. The operating system drops it when the
 * process ends, however it ends, so there is no stale lock to detect, and a process id that was given to another program
 * cannot mislead.
 * @throws with the code SQLITE_BUSY when another process holds it
 */
export function holdLock(file: string): ProcessLock {
  const connection = new Libsql(file)
  try {
    connection.pragma(`busy_timeout = ${BUSY_MILLISECONDS}`)
    connection.exec('begin exclusive')
  } catch (error) {
    connection.close()
    throw error
  }
  return {
    release() {
      if (!connection.open) return
      connection.exec('rollback')
      connection.close()
    },
  }
}

/** Whether a process holds the lock now; false as well where there is no such file. */
export function isLocked(file: string): boolean {
  if (!existsSync(file)) return false
  const connection = new Libsql(file, { readonly: true })
  try {
    // A shared lock for a moment: whoever locks the file just now waits for it.
    connection.prepare('select count(*) from sqlite_master').get()
    return false
  } catch (error) {
    if (isBusy(error)) return true
    throw error
  } finally {
    connection.close()
  }
}

export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY'
}
