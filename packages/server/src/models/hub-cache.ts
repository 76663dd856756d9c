import { randomUUID } from 'node:crypto'
import { readFileSync, type Stats, statSync } from 'node:fs'
import { access, copyFile, mkdir, readdir, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'

const COMMIT = /^[0-9a-f]{40}$/

/**
 * A model cache in huggingface_hub's own layout, shared with Python's libraries:
 *
 * ```
 * models--owner--name/blobs/<etag>                      the bytes, once
 *                     refs/<branch>                     the commit that a branch is at
 *                     snapshots/<commit>/<path>         links into blobs
 *                     .no_exist/<commit>/<path>         files known not to be there
 * .locks/models--owner--name/<etag>.lock                held while a blob is fetched
 * ```
 */
export class HubCache {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  repositoryFolder(repository: string): string {
    return join(this.folder, repositoryName(repository))
  }

  snapshotFolder(repository: string, commit: string): string {
    return join(this.repositoryFolder(repository), 'snapshots', commit)
  }

  blobPath(repository: string, etag: string): string {
    return join(this.repositoryFolder(repository), 'blobs', etag)
  }

  lockPath(repository: string, etag: string): string {
    return join(this.folder, '.locks', repositoryName(repository), `${etag}.lock`)
  }

  /** The commit that a revision is at, as far as this cache knows. */
  commitOf(repository: string, revision: string): string | undefined {
    if (COMMIT.test(revision)) return revision
    const commit = readSmall(join(this.repositoryFolder(repository), 'refs', ...revision.split('/')))?.trim()
    return commit !== undefined && COMMIT.test(commit) ? commit : undefined
  }

  /**
   * The snapshot of a revision, or of none: what `main` is at, else the newest one. Its files may be some of the repository's.
   * @returns undefined when there is no such folder
   */
  async snapshot(repository: string, revision?: string): Promise<{ commit: string; folder: string } | undefined> {
    const known = this.commitOf(repository, revision ?? 'main')
    const commit = known ?? (revision === undefined ? await this.#newestSnapshot(repository) : undefined)
    if (commit === undefined) return undefined
    const folder = this.snapshotFolder(repository, commit)
    return statOf(folder)?.isDirectory() ? { commit, folder } : undefined
  }

  /** Bytes of a snapshot's file; undefined when it is not here, or its blob is gone. */
  fileSize(repository: string, commit: string, path: string): number | undefined {
    return statOf(this.#pointer(repository, commit, path))?.size
  }

  /** Remembers what a branch or tag is at. */
  async writeRef(repository: string, revision: string, commit: string): Promise<void> {
    if (revision === commit || this.commitOf(repository, revision) === commit) return
    const path = join(this.repositoryFolder(repository), 'refs', ...revision.split('/'))
    await mkdir(dirname(path), { recursive: true })
    // Python reads it at any moment; half a commit would name a snapshot that is nowhere.
    const written = `${path}.${randomUUID()}`
    await writeFile(written, commit)
    await rename(written, path)
  }

  /** Remembers that a commit has no such file, as huggingface_hub does. */
  async markMissing(repository: string, commit: string, path: string): Promise<void> {
    const mark = join(this.repositoryFolder(repository), '.no_exist', commit, ...path.split('/'))
    await mkdir(dirname(mark), { recursive: true })
    await writeFile(mark, '')
  }

  async isMarkedMissing(repository: string, commit: string, path: string): Promise<boolean> {
    return exists(join(this.repositoryFolder(repository), '.no_exist', commit, ...path.split('/')))
  }

  /** Makes a blob a file of a snapshot: by a relative link, or a copy where links cannot be made. */
  async link(repository: string, commit: string, path: string, etag: string): Promise<string> {
    const pointer = this.#pointer(repository, commit, path)
    const blob = this.blobPath(repository, etag)
    await mkdir(dirname(pointer), { recursive: true })
    const target = relative(dirname(pointer), blob)
    if ((await readlink(pointer).catch(() => undefined)) === target) return pointer
    const made = `${pointer}.${randomUUID()}`
    try {
      await symlink(target, made)
    } catch {
      await copyFile(blob, made)
    }
    await rename(made, pointer)
    return pointer
  }

  /** The repositories that have a snapshot here, `owner/name` each. */
  async repositories(): Promise<string[]> {
    const names = await readdir(this.folder).catch((): string[] => [])
    return names.flatMap((name) => {
      const [owner, rest] = /^models--(.+?)--(.+)$/.exec(name)?.slice(1) ?? []
      return owner === undefined || rest === undefined ? [] : [`${owner}/${rest}`]
    })
  }

  /** Names of the blobs that files of snapshots lead to. */
  async linkedBlobs(repository: string): Promise<ReadonlySet<string>> {
    const root = join(this.repositoryFolder(repository), 'snapshots')
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])
    const links = entries.filter((entry) => entry.isSymbolicLink())
    const targets = await Promise.all(links.map((entry) => readlink(join(entry.parentPath, entry.name))))
    return new Set(targets.map((target) => basename(target)))
  }

  /** Bytes of all blobs of a repository, unfinished ones included. */
  async blobBytes(repository: string): Promise<number> {
    const folder = join(this.repositoryFolder(repository), 'blobs')
    const names = await readdir(folder).catch((): string[] => [])
    const sizes = await Promise.all(
      names.map(async (name) => (await stat(join(folder, name)).catch(() => undefined))?.size),
    )
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
  }

  /** Removes a repository with all of its revisions. */
  async remove(repository: string): Promise<void> {
    await rm(this.repositoryFolder(repository), { recursive: true, force: true })
    await rm(join(this.folder, '.locks', repositoryName(repository)), { recursive: true, force: true })
  }

  #pointer(repository: string, commit: string, path: string): string {
    return join(this.snapshotFolder(repository, commit), ...path.split('/'))
  }

  async #newestSnapshot(repository: string): Promise<string | undefined> {
    const snapshots = join(this.repositoryFolder(repository), 'snapshots')
    const names = await readdir(snapshots).catch((): string[] => [])
    const dated = await Promise.all(
      names.map(async (name) => ({ name, changed: (await stat(join(snapshots, name))).mtimeMs })),
    )
    return dated.sort((a, b) => b.changed - a.changed)[0]?.name
  }
}

function repositoryName(repository: string): string {
  return `models--${repository.replaceAll('/', '--')}`
}

// Every request looks its models up. These calls take microseconds each where a round trip through the thread pool takes fifty,
// and a model of fifteen files would wait for twenty of them.

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function readSmall(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Follows links: a dangling one is no file. */
async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
