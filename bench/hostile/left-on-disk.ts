import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface LeftOnDisk {
  /** Files that clients have uploaded in full, which are theirs to keep. */
  readonly files: number
  /** Files of uploads that were never finished, by path. */
  readonly leftovers: readonly string[]
  readonly bytes: number
}

/** What lies in a data folder; see `storage/disk-layout.ts` for the names. */
export function leftOnDisk(dataFolder: string): LeftOnDisk {
  const all = filesBelow(dataFolder)
  const objects = new Set(all.filter((path) => path.startsWith('objects/')))
  // A file counts once its metadata is there; bytes without metadata are of a write that was not finished.
  const metadata = [...objects].filter((path) => path.endsWith('~'))
  const stems = new Set(metadata.map((path) => stemOf(path.slice(0, -1))))
  const orphans = [...objects].filter((path) => !path.endsWith('~') && !stems.has(stemOf(path.replace(/~[^~/]*$/, ''))))
  const uploads = all.filter((path) => path.startsWith('uploads/'))
  return {
    files: metadata.length,
    leftovers: [...orphans, ...uploads],
    bytes: all.reduce((sum, path) => sum + (statSync(join(dataFolder, path), { throwIfNoEntry: false })?.size ?? 0), 0),
  }
}

/** A path without its extension, which the name of the bytes has behind the version and that of the metadata before. */
function stemOf(path: string): string {
  return path.replace(/\.[^./]*$/, '')
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
}
