import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import koffi from 'koffi'

/** `POSIX_FADV_DONTNEED` of Linux. */
const DONT_NEED = 4

/**
 * Has the system drop what it holds in memory of the files below a folder: they have to come from the disk again. What a process has mapped stays, and what
 * was not yet written. Linux.
 * @throws Error where the system has no such call
 */
export async function forgetFiles(folder: string): Promise<void> {
  const advise = koffi.load(null).func('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)')
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const handle = await open(join(entry.parentPath, entry.name), 'r')
    try {
      const status = advise(handle.fd, 0, 0, DONT_NEED) as number
      if (status !== 0) throw new Error(`posix_fadvise failed with ${status}`)
    } finally {
      await handle.close()
    }
  }
}
