import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A program of this folder, in a process of its own, that answers in lines of JSON. */
export interface Peer {
  /** Asks for the next line by sending one. */
  ask(question?: string): Promise<Record<string, number>>
  /** The next line as it comes. */
  next(): Promise<Record<string, number>>
  end(): void
}

/** @param program what runs the script, and its own arguments */
export async function startPeer(
  script: string,
  program: string | readonly string[],
  args: readonly string[],
): Promise<Peer> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const [command = '', ...options] = typeof program === 'string' ? [program] : program
  const child = spawn(command, [...options, path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${script} ended without an answer`)
    return JSON.parse(value) as Record<string, number>
  }
  return {
    next,
    ask(question = '') {
      child.stdin.write(`${question}\n`)
      return next()
    },
    end: () => child.stdin.end(),
  }
}
