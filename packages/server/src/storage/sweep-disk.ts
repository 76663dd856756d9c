import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing, isOlder, removeFile } from './disk-file.ts'
import { type DiskMetadata, isMetadataFile, parseMetadata } from './disk-layout.ts'
import { StorageError } from './storage-error.ts'

/** A write in progress has files that no metadata names yet; older than this they are what a crash left. */
const UNNAMED_SECONDS = 3600

/** Removes expired objects, and files without metadata, below `folder`. */
export async function sweepObjects(folder: string, now: Date): Promise<void> {
  for (const entry of await readFolder(folder)) {
    if (entry.isDirectory()) await sweepObjects(join(folder, entry.name), now)
  }
  const files = (await readFolder(folder)).filter((entry) => entry.isFile()).map((entry) => entry.name)
  const named = new Set<string>()
  let damaged = false
  for (const name of files.filter(isMetadataFile)) {
    const metadata = await readMetadata(join(folder, name))
    if (metadata === 'damaged') damaged = true
    if (metadata === undefined || metadata === 'damaged') continue
    named.add(metadata.blob)
    if (metadata.expiresAt === undefined || metadata.expiresAt > now) continue
    await removeFile(join(folder, name))
    await removeFile(join(folder, metadata.blob))
  }
  // What damaged metadata named cannot be told from what a crash left, so it stays for somebody to look at.
  if (damaged) return
  for (const name of files) {
    if (isMetadataFile(name) || named.has(name)) continue
    if (await isOlder(join(folder, name), now.getTime() - UNNAMED_SECONDS * 1000)) {
      await removeFile(join(folder, name))
    }
  }
}

async function readFolder(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function readMetadata(path: string): Promise<DiskMetadata | 'damaged' | undefined> {
  try {
    return parseMetadata(await readFile(path, 'utf8'))
  } catch (error) {
    if (isMissing(error)) return undefined
    if (error instanceof StorageError) return 'damaged'
    throw error
  }
}
