import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import Libsql from 'libsql'
import { DatabaseError } from './database-error.ts'

/** `dataFolderIsServed` holds the file for less than this; a server holds it for good. */
const BUSY_MILLISECONDS = 250

export interface DataFolderLock {
  release(): void
}

/**
 * Makes this process the only server of a data folder, until released or dead.
 *
 * The lock is SQLite's own file lock on `server.lock`. The operating system drops it when the process ends, however
 * it ends, so there is no stale lock to detect and a process id that was given to another program cannot mislead.
 * `server.pid` only serves the message.
 *
 * @throws DatabaseError naming the process and the folder when another server holds it, or when it is not writable
 */
export function lockDataFolder(folder: string): DataFolderLock {
  const path = resolve(folder)
  const pidFile = join(path, 'server.pid')
  const connection = openLock(path)
  try {
    connection.exec('begin exclusive')
    writeFileSync(pidFile, `${process.pid}\n`)
  } catch (error) {
    connection.close()
    throw refusal(error, path, pidFile)
  }
  return {
    release() {
      if (!connection.open) return
      rmSync(pidFile, { force: true })
      connection.exec('rollback')
      connection.close()
    },
  }
}

/** Whether a server holds the folder's lock now; false as well where there is no such folder. */
export function dataFolderIsServed(folder: string): boolean {
  const file = join(resolve(folder), 'server.lock')
  if (!existsSync(file)) return false
  const connection = new Libsql(file, { readonly: true })
  try {
    // A shared lock for a moment: one that just starts waits for it, see BUSY_MILLISECONDS.
    connection.prepare('select count(*) from sqlite_master').get()
    return false
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY') return true
    throw unwritable(error, resolve(folder))
  } finally {
    connection.close()
  }
}

function openLock(path: string): Libsql.Database {
  try {
    mkdirSync(path, { recursive: true })
    // Says why not; SQLite only says that it cannot open the file.
    accessSync(path, constants.W_OK)
    const connection = new Libsql(join(path, 'server.lock'))
    connection.pragma(`busy_timeout = ${BUSY_MILLISECONDS}`)
    return connection
  } catch (error) {
    throw unwritable(error, path)
  }
}

function refusal(error: unknown, path: string, pidFile: string): DatabaseError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code !== 'SQLITE_BUSY') return unwritable(error, path)
  return new DatabaseError(
    'unavailable',
    `Another Darkroom (process ${holder(pidFile)}) serves the data folder ${path}: stop it, or choose another folder with --data.`,
    error,
  )
}

function unwritable(error: unknown, path: string): DatabaseError {
  const reason = error instanceof Error ? error.message : String(error)
  return new DatabaseError(
    'readonly',
    `Cannot use the data folder ${path}: ${reason}. Make it writable for this user, or choose another with --data.`,
    error,
  )
}

function holder(pidFile: string): string {
  try {
    return readFileSync(pidFile, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
