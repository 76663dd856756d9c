import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** macOS' open(2) flag that takes the flock(2) of the file it opens; Node knows no name for it. */
const DARWIN_O_EXLOCK = 0x20
const POLL_MILLISECONDS = 200

/**
 * Does work while this process holds a file's flock(2): the lock that Python's `filelock`, and with it huggingface_hub, takes.
 * The operating system drops it when the process ends, however it ends.
 *
 * Node has no call for it. The lock belongs to the open file, not to the process, so the `flock` command of util-linux takes it
 * on our descriptor and is gone again. Where there is neither that command nor macOS' flag, the work runs unlocked:
 * `isLocked` false says that another process may do the same at the same time.
 * @throws the signal's reason when it aborts while waiting
 */
export async function withFileLock<T>(
  path: string,
  signal: AbortSignal,
  work: (isLocked: boolean) => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true })
  for (;;) {
    const lock = await acquire(path, signal)
    try {
      // Whoever tidies up may have removed the file that we waited for: then others lock another one of that name.
      if (lock.isLocked && (await lock.handle.stat()).ino !== (await inode(path))) continue
      return await work(lock.isLocked)
    } finally {
      await lock.handle.close()
    }
  }
}

async function inode(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ ino }) => ino,
    () => undefined,
  )
}

async function acquire(path: string, signal: AbortSignal): Promise<{ handle: FileHandle; isLocked: boolean }> {
  if (process.platform === 'darwin') return acquireByFlag(path, signal)
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o664)
  try {
    return { handle, isLocked: await lockByCommand(handle, signal) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** @returns false where the command or the file system cannot lock */
function lockByCommand(handle: FileHandle, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const command = spawn('flock', ['--exclusive', '3'], { stdio: ['ignore', 'ignore', 'ignore', handle.fd] })
    const stop = () => command.kill()
    signal.addEventListener('abort', stop)
    const settle = (isLocked: boolean) => {
      signal.removeEventListener('abort', stop)
      if (signal.aborted) reject(signal.reason)
      else resolve(isLocked)
    }
    command.once('error', () => settle(false))
    command.once('exit', (code) => settle(code === 0))
  })
}

async function acquireByFlag(path: string, signal: AbortSignal): Promise<{ handle: FileHandle; isLocked: boolean }> {
  const flags = constants.O_RDWR | constants.O_CREAT
  for (;;) {
    signal.throwIfAborted()
    try {
      return { handle: await open(path, flags | constants.O_NONBLOCK | DARWIN_O_EXLOCK, 0o664), isLocked: true }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'EAGAIN') return { handle: await open(path, flags, 0o664), isLocked: false }
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS))
    }
  }
}
