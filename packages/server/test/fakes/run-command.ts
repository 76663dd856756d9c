import { spawn } from 'node:child_process'

export interface CommandOptions {
  /** The caller's working folder when absent. */
  readonly cwd?: string
  /** Beside `PATH`, all that the command sees of an environment. */
  readonly environment: Readonly<Record<string, string>>
}

/**
 * What a command prints on standard output. This process goes on meanwhile: it may be the server that the command calls.
 * @throws with what it printed on standard error, when its exit status is not 0
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  { cwd, environment }: CommandOptions,
): Promise<string> {
  const child = spawn(command, args, {
    ...(cwd !== undefined && { cwd }),
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (status !== 0) throw new Error(`${command} ended with status ${status}: ${errors}`)
  return output
}
