import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { LibraryPackage } from './openvino-package.ts'

export const INSTALLATION_FILE = 'installation.json'

/** What is kept beside the libraries. */
export interface Installation {
  /** Bytes of each file. */
  readonly files: Readonly<Record<string, number>>
}

/** Where a package's libraries are unpacked. */
export function installedFolder(folder: string, { project, version }: LibraryPackage): string {
  return join(folder, `${project}-${version}`)
}

/** What is here of a package: its folder, or why it cannot be used, or nothing. */
export type InstalledLibraries =
  | { readonly state: 'whole'; readonly folder: string }
  | { readonly state: 'broken'; readonly problem: string }
  | { readonly state: 'absent' }

/** Looks for a package's libraries and whether they are whole. A native library that is cut short takes down the process that loads it. */
export async function findLibraries(folder: string, library: LibraryPackage): Promise<InstalledLibraries> {
  const own = installedFolder(folder, library)
  const isThere = (await stat(own).catch(() => undefined)) !== undefined
  if (!isThere) return { state: 'absent' }
  const installation = await readInstallation(own)
  for (const name of library.libraries) {
    const info = await stat(join(own, name)).catch(() => undefined)
    if (info === undefined || info.size !== installation?.files[name]) {
      return {
        state: 'broken',
        problem: `${name} of ${library.project} ${library.version} is damaged: run \`darkroom accelerate\` again`,
      }
    }
  }
  return { state: 'whole', folder: own }
}

async function readInstallation(folder: string): Promise<Installation | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, INSTALLATION_FILE), 'utf8')) as Installation
  } catch {
    return undefined
  }
}

/** Removes everything that was installed, and what was fetched in part. */
export async function removeLibraries(folder: string): Promise<boolean> {
  const isThere = (await stat(folder).catch(() => undefined)) !== undefined
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  return isThere
}
