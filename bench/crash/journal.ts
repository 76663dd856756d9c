import { appendFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** `up`: a runner process takes work from now on. `start`, `end`: of one execution of a request. */
export type JournalEntry =
  | { readonly event: 'up' }
  | { readonly event: 'start' | 'end'; readonly requestId: string; readonly execution: string }

export type Journalled = JournalEntry & { readonly pid: number; readonly at: number }

/** What the processes that do the work did and when, in a file each: written at once, so that a kill loses nothing. */
export class Journal {
  readonly #path: string

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true })
    this.#path = join(folder, `${process.pid}.jsonl`)
  }

  write(entry: JournalEntry): void {
    const line: Journalled = { ...entry, pid: process.pid, at: Date.now() }
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`)
  }
}

/** Everything that was journalled, in order of time. */
export function readJournal(folder: string): Journalled[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
  const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
  // A kill may cut a line off.
  return lines.flatMap(parseLine).sort((a, b) => a.at - b.at)
}

function parseLine(line: string): Journalled[] {
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}
