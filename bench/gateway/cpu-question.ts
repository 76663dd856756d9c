import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** In a child process: answers the parent's `cpu` with the processor time used so far, in milliseconds. */
export function answerCpuQuestions(): void {
  process.on('message', (message) => {
    const { user, system } = process.cpuUsage()
    if (message === 'cpu') process.send?.((user + system) / 1000)
  })
}

/** Milliseconds of processor time that a child has used so far. */
export async function cpuOf(child: ChildProcess): Promise<number> {
  const answer = once(child, 'message')
  child.send('cpu')
  return (await answer)[0] as number
}
