import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withFileLock } from './file-lock.ts'

/** A file that was fetched because a request named it. */
export interface FetchedFile {
  /** Absolute; a blob of the hub cache, or a file of a URL. */
  readonly path: string
  /** Bytes. */
  readonly size: number
}

/** What is known of a model's use on this machine. */
export interface UsageRecord {
  /** `hub:owner/name` or `url:<key>`. */
  readonly key: string
  /** As it was named last. */
  readonly label: string
  /** ISO 8601. */
  readonly lastUsedAt: string
  /** What requests had fetched of it, which may be removed again; nothing of what somebody pulled, or Python fetched. */
  readonly fetched: readonly FetchedFile[]
}

/** Uses closer together than this are one. */
const TOUCH_MILLISECONDS = 60_000
/** A change takes milliseconds: a process that holds the lock for longer stands still. */
const LOCK_WAIT_MILLISECONDS = 10_000
/** What was used this recently counts as in use. */
const IN_USE_MILLISECONDS = 10 * 60_000

/** When models were used last, and which of them requests had fetched: one small file each, for all processes of the machine. */
export class UsageLedger {
  readonly #folder: string
  readonly #now: () => Date
  readonly #touched = new Map<string, number>()
  #lastChange: Promise<void> = Promise.resolve()

  constructor(folder: string, now: () => Date = () => new Date()) {
    this.#folder = folder
    this.#now = now
  }

  /** Notes that a model is used. */
  async touch(key: string, label: string): Promise<void> {
    const now = this.#now().getTime()
    if (now - (this.#touched.get(key) ?? Number.NEGATIVE_INFINITY) < TOUCH_MILLISECONDS) return
    this.#touched.set(key, now)
    await this.#change(key, label, (fetched) => fetched)
  }

  /** Notes what a request had fetched. */
  async addFetched(key: string, label: string, files: readonly FetchedFile[]): Promise<void> {
    if (files.length === 0) return
    const paths = new Set(files.map(({ path }) => path))
    await this.#change(key, label, (known) => [...known.filter(({ path }) => !paths.has(path)), ...files])
  }

  /** Notes that somebody wants a model here: it is removed by whoever asks for that, and not to make room. */
  async pin(key: string, label: string): Promise<void> {
    await this.#change(key, label, () => [])
  }

  async forget(key: string): Promise<void> {
    this.#touched.delete(key)
    await this.#alone(() => rm(this.#path(key), { force: true }))
  }

  /** All records, least recently used first. */
  async records(): Promise<UsageRecord[]> {
    const names = await readdir(this.#folder).catch((): string[] => [])
    const read = names.filter((name) => name.endsWith('.json')).map((name) => this.#read(join(this.#folder, name)))
    const records = (await Promise.all(read)).filter((record) => record !== undefined)
    return records.sort((a, b) => a.lastUsedAt.localeCompare(b.lastUsedAt))
  }

  /**
   * Removes what requests had fetched and nobody has used for longest, until no more than `budgetBytes` of it are left.
   * What was used in the last ten minutes stays.
   * @param comingBytes to be fetched next: room is made for them too
   * @returns what was removed
   */
  async makeRoom(budgetBytes: number, comingBytes: number): Promise<UsageRecord[]> {
    const records = await this.records()
    let total = comingBytes + records.reduce((sum, record) => sum + fetchedBytes(record), 0)
    const removed: UsageRecord[] = []
    for (const record of records) {
      if (total <= budgetBytes) break
      const idle = this.#now().getTime() - Date.parse(record.lastUsedAt)
      if (record.fetched.length === 0 || idle < IN_USE_MILLISECONDS) continue
      await this.#removeFiles(record)
      total -= fetchedBytes(record)
      removed.push(record)
    }
    return removed
  }

  async #removeFiles(record: UsageRecord): Promise<void> {
    for (const { path } of record.fetched) await rm(path, { force: true })
    await this.forget(record.key)
  }

  async #read(path: string): Promise<UsageRecord | undefined> {
    try {
      return JSON.parse(await readFile(path, 'utf8')) as UsageRecord
    } catch {
      return undefined
    }
  }

  #change(
    key: string,
    label: string,
    fetchedNow: (known: readonly FetchedFile[]) => readonly FetchedFile[],
  ): Promise<void> {
    return this.#alone(async () => {
      const known = await this.#read(this.#path(key))
      const fetched = fetchedNow(known?.fetched ?? [])
      await this.#write({ key, label, lastUsedAt: this.#now().toISOString(), fetched })
    })
  }

  /** One change after another, of all processes: of two files of a model that come at once, each is added to what the other has left. */
  #alone(change: () => Promise<void>): Promise<void> {
    const lock = join(this.#folder, 'changes.lock')
    const changed = this.#lastChange.then(() => withFileLock(lock, AbortSignal.timeout(LOCK_WAIT_MILLISECONDS), change))
    this.#lastChange = changed.catch(() => {})
    return changed
  }

  async #write(record: UsageRecord): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const path = this.#path(record.key)
    const written = `${path}.${randomUUID()}~`
    await writeFile(written, JSON.stringify(record))
    await rename(written, path)
  }

  #path(key: string): string {
    return join(this.#folder, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`)
  }
}

/** The key of a repository of the hub. */
export function hubKey(repository: string): string {
  return `hub:${repository}`
}

/** The key of a file that is kept by itself. */
export function urlKey(key: string): string {
  return `url:${key}`
}

function fetchedBytes({ fetched }: UsageRecord): number {
  return fetched.reduce((sum, { size }) => sum + size, 0)
}
