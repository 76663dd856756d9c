import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A Python program of this folder that answers in lines of JSON. */
export interface Peer {
  /** Asks for the next line by sending an empty one. */
  ask(): Promise<Record<string, number>>
  /** The next line as it comes. */
  next(): Promise<Record<string, number>>
  end(): void
}

export async function startPeer(script: string, python: string, args: readonly string[]): Promise<Peer> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(python, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${script} ended without an answer`)
    return JSON.parse(value) as Record<string, number>
  }
  return {
    next,
    ask() {
      child.stdin.write('\n')
      return next()
    },
    end: () => child.stdin.end(),
  }
}
