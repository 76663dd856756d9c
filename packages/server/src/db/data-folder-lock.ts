import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseError } from './database-error.ts'
import { holdLock, isBusy, isLocked, type ProcessLock } from './process-lock.ts'

/**
 * Makes this process the only server of a data folder, until released or dead: it locks `server.lock`. `server.pid` only
 * serves the message.
 *
 * @throws DatabaseError naming the process and the folder when another server holds it, or when it is not writable
 */
export function lockDataFolder(folder: string): ProcessLock {
  const path = resolve(folder)
  const pidFile = join(path, 'server.pid')
  const lock = openLock(path, pidFile)
  let held = true
  return {
    release() {
      // Called twice, it must not remove the file of the next one.
      if (held) rmSync(pidFile, { force: true })
      held = false
      lock.release()
    },
  }
}

/** Whether a server holds the folder's lock now; false as well where there is no such folder. */
export function dataFolderIsServed(folder: string): boolean {
  try {
    return isLocked(join(resolve(folder), 'server.lock'))
  } catch (error) {
    throw unwritable(error, resolve(folder))
  }
}

function openLock(path: string, pidFile: string): ProcessLock {
  try {
    mkdirSync(path, { recursive: true })
    // Says why not; SQLite only says that it cannot open the file.
    accessSync(path, constants.W_OK)
    const lock = holdLock(join(path, 'server.lock'))
    writeFileSync(pidFile, `${process.pid}\n`)
    return lock
  } catch (error) {
    throw isBusy(error) ? refusal(error, path, pidFile) : unwritable(error, path)
  }
}

function refusal(error: unknown, path: string, pidFile: string): DatabaseError {
  return new DatabaseError(
    'unavailable',
    `Another Darkroom (process ${holder(pidFile)}) serves the data folder ${path}: stop it, or choose another folder with --data.`,
    error,
  )
}

function unwritable(error: unknown, path: string): DatabaseError {
  const reason = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const advice = ADVICE[code] ?? 'Make it writable for this user, or choose another with --data.'
  return new DatabaseError('readonly', `Cannot use the data folder ${path}: ${reason}. ${advice}`, error)
}

const NO_FOLDER = 'There is a file of that name: choose a folder with --data.'
const ADVICE: Readonly<Record<string, string>> = {
  EEXIST: NO_FOLDER,
  ENOTDIR: NO_FOLDER,
  ENOSPC: 'Free some space on its disk, or choose another with --data.',
}

function holder(pidFile: string): string {
  try {
    return readFileSync(pidFile, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
