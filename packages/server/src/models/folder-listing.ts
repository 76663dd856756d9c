import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ListedFile } from './weights-selection.ts'

/** Models are a few folders deep; whoever named a home folder is not waited for. */
const MAX_DEPTH = 4
const MAX_FILES = 5000

/** The files below a folder, links followed: a snapshot's lead to blobs, and one whose blob is gone is no file. */
export async function listFolder(root: string): Promise<ListedFile[]> {
  const files: ListedFile[] = []
  const visit = async (folder: string, depth: number): Promise<void> => {
    const names = await readdir(join(root, folder)).catch((): string[] => [])
    for (const name of names.sort()) {
      if (name.startsWith('.') || files.length >= MAX_FILES) continue
      const path = folder === '' ? name : `${folder}/${name}`
      const entry = await stat(join(root, path)).catch(() => undefined)
      if (entry?.isFile()) files.push({ path, size: entry.size })
      else if (entry?.isDirectory() && depth < MAX_DEPTH) await visit(path, depth + 1)
    }
  }
  await visit('', 1)
  return files
}

/** Links are followed. */
export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false
}

/** The object in a JSON file; an empty one where there is none to read. */
export async function readJsonFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
