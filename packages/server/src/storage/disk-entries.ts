import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from './disk-file.ts'
import type { StoredEntry } from './object-store.ts'

/** `<stem>~<version><extension>`, as the file with an object's bytes is called; its metadata ends in "~". */
const BLOB = /^(.+)~[0-9a-f]{12}(\.[^~]*)?$/

/**
 * The objects in a folder, told by the names of the files with their bytes: reading the metadata of each would take ten times as
 * long. What a crash left counts too, until the sweep finds it.
 */
export async function* diskEntries(folder: string, prefix = ''): AsyncGenerator<StoredEntry> {
  for await (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* diskEntries(path, `${prefix}${entry.name}/`)
    const [, stem, extension = ''] = (entry.isFile() && BLOB.exec(entry.name)) || []
    if (stem === undefined || extension === '.new') continue
    const found = await stat(path).catch(() => undefined)
    if (found) yield { key: `${prefix}${stem}${extension}`, bytes: found.size, storedAt: found.mtime }
  }
}

async function* entriesOf(folder: string) {
  try {
    yield* await opendir(folder)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
