import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { percentile } from '../statistics.ts'

const WRITES = 200
/** Between the regimes that cloud disks show: about 0.1 ms where a cache answers, about 4 ms where the disk does. */
const SLOW_MILLISECONDS = 1

export interface FsyncSpeed {
  readonly milliseconds: number
  readonly regime: 'fast' | 'slow'
}

/** The median time of a 4 KiB write and its fdatasync in a folder. */
export function probeFsync(folder: string): FsyncSpeed {
  const path = join(folder, 'fsync-probe')
  const file = openSync(path, 'w')
  const block = Buffer.alloc(4096, 1)
  const samples = Array.from({ length: WRITES }, () => {
    const start = performance.now()
    writeSync(file, block)
    fdatasyncSync(file)
    return performance.now() - start
  })
  closeSync(file)
  rmSync(path)
  const milliseconds = percentile(samples, 0.5)
  return { milliseconds, regime: milliseconds < SLOW_MILLISECONDS ? 'fast' : 'slow' }
}
