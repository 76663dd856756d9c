import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { holdLock, isLocked, type ProcessLock } from '../../db/process-lock.ts'
import type { RequestQueue } from '../../queue/request-queue.ts'

const SUFFIX = '.lock'

/**
 * Shows the gateway of this machine, by a locked file, that the runner lives. Where machines share the database there is
 * no such sign, and a runner's leases have to run out.
 */
export function lockForRunner(dataFolder: string, runnerId: string): ProcessLock {
  const folder = lifeFolder(dataFolder)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${runnerId}${SUFFIX}`)
  // It gets its name when it is locked: a gateway would take it for a dead one's before that.
  const lock = holdLock(`${file}.new`)
  renameSync(`${file}.new`, file)
  return {
    release() {
      rmSync(file, { force: true })
      lock.release()
    },
  }
}

/**
 * Returns to the queue what runners of this machine held that died together with their supervisor, at the next look
 * instead of when their leases are over.
 */
export async function withdrawDeadRunners(dataFolder: string, queue: Pick<RequestQueue, 'withdraw'>): Promise<void> {
  const folder = lifeFolder(dataFolder)
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (!name.endsWith(SUFFIX) || isLocked(file)) continue
    await queue.withdraw(name.slice(0, -SUFFIX.length))
    rmSync(file, { force: true })
  }
}

function lifeFolder(dataFolder: string): string {
  return join(dataFolder, 'runners')
}
