import { readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing, makeFolder, namesIn, removeFile } from './disk-file.ts'

const HOUR_SECONDS = 3600

/**
 * Which objects expire in which hour: a small file each, in a folder per hour, so that a sweep reads what is due instead of
 * every object's metadata (0.3 ms each). Not fsynced: what a power loss takes from it, the daily walk finds.
 */
export class DiskExpiry {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async mark(key: string, version: string, expiresAt: Date): Promise<void> {
    const folder = join(this.#root, String(hourOf(expiresAt)))
    await makeFolder(folder)
    try {
      await writeFile(join(folder, version), key)
    } catch (error) {
      // A sweep removed the folder of a past hour in between.
      if (!isMissing(error)) throw error
    }
  }

  /**
   * Visits the objects of every hour that has begun.
   * @param visit removes the object when it is due, and says when it expires where it is not
   */
  async sweep(now: Date, visit: (key: string) => Promise<Date | undefined>): Promise<void> {
    for (const name of await namesIn(this.#root)) {
      const hour = Number(name)
      if (!Number.isInteger(hour) || hour > hourOf(now)) continue
      const folder = join(this.#root, name)
      for (const version of await namesIn(folder)) {
        const key = await readKey(join(folder, version))
        if (key === undefined) continue
        const expiresAt = await visit(key)
        // One that was put again for longer is listed in that hour.
        if (expiresAt === undefined || hourOf(expiresAt) !== hour) await removeFile(join(folder, version))
      }
      if (hour < hourOf(now)) await rmdir(folder).catch(() => undefined)
    }
  }
}

/** `undefined` when another process's sweep has done it. */
async function readKey(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function hourOf(date: Date): number {
  return Math.floor(date.getTime() / 1000 / HOUR_SECONDS)
}
