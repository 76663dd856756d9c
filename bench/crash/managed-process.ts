import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface ManagedProcessOptions {
  readonly name: string
  readonly entry: URL
  /** Sent to the process first of all. */
  readonly setup: unknown
  /** File for what it logs. */
  readonly log: string
}

/** A process that is killed and started again; it leads a process group, so that its children can be killed with it. */
export class ManagedProcess {
  readonly name: string
  /** Told when the process ends although nobody killed it, once it had been ready. */
  onDied: () => void = () => {}
  readonly #options: ManagedProcessOptions
  #child: ChildProcess | undefined
  #killed: ChildProcess | undefined
  #exited: Promise<undefined> = Promise.resolve(undefined)
  /** Ids of the groups that were started, each its leader's process id. */
  readonly #groups: number[] = []

  constructor(options: ManagedProcessOptions) {
    this.name = options.name
    this.#options = options
  }

  /** Resolves when the process says that it is ready. @throws when it ends before that */
  async start(): Promise<void> {
    const { name, entry, setup, log } = this.#options
    const output = openSync(log, 'a')
    const child = fork(fileURLToPath(entry), [], {
      execArgv: ['--import', 'tsx'],
      detached: true,
      stdio: ['ignore', output, output, 'ipc'],
    })
    closeSync(output)
    if (child.pid !== undefined) this.#groups.push(child.pid)
    child.send(setup as object)
    this.#child = child
    this.#exited = once(child, 'exit').then(() => {
      if (this.#child === child) this.#child = undefined
      return undefined
    })
    const answer = await Promise.race([this.#answer<{ ready: string }>(child, 'ready'), this.#exited])
    if (answer === undefined) throw new Error(`${name} ended (${child.exitCode}) before it was ready; see ${log}`)
    child.once('exit', () => {
      if (this.#killed !== child) this.onDied()
    })
  }

  get up(): boolean {
    return this.#child !== undefined
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Sends a message and resolves with the one that carries `key`, or nothing when the process ends before. */
  async ask<T>(message: object, key: string): Promise<T | undefined> {
    const child = this.#child
    if (child?.connected !== true) return undefined
    const answer = this.#answer<T>(child, key)
    child.send(message, () => {})
    return Promise.race([answer, this.#exited])
  }

  /** Ends the process alone or, with `group`, its children too; resolves when it is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM', group = false): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined) return
    const exited = this.#exited
    this.#child = undefined
    this.#killed = child
    // Still this child's group: it has not been waited for, so its id is given to nobody else.
    if (group) process.kill(-child.pid, signal)
    else child.kill(signal)
    await exited
  }

  /**
   * Kills what is left of every group: a runner that was stopped (SIGSTOP) when its parent was killed cannot leave by
   * itself.
   */
  endLeftovers(): void {
    for (const group of this.#groups.splice(0)) {
      const { stdout } = spawnSync('pgrep', ['-g', String(group), '-f', 'bench/crash/processes/'], { encoding: 'utf8' })
      for (const pid of stdout.split('\n').filter((line) => line !== '')) process.kill(Number(pid), 'SIGKILL')
    }
  }

  #answer<T>(child: ChildProcess, key: string): Promise<T> {
    return new Promise((resolve) => {
      const receive = (message: unknown) => {
        if (typeof message !== 'object' || message === null || !(key in message)) return
        child.off('message', receive)
        resolve(message as T)
      }
      child.on('message', receive)
    })
  }
}
