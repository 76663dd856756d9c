import type { ManagedProcess } from './managed-process.ts'

const PAUSE_MILLISECONDS = 250

/** Starts what was killed again, over and over until it is up: what systemd or an orchestrator does. */
export class Revival {
  readonly #underway = new Map<ManagedProcess, Promise<void>>()
  readonly #diedAlone: string[] = []
  #over = false

  /** Processes that ended although nobody killed them: a defect, whatever became of the requests. */
  get diedAlone(): readonly string[] {
    return this.#diedAlone
  }

  watch(processes: readonly ManagedProcess[]): void {
    for (const each of processes) {
      each.onDied = () => {
        this.#diedAlone.push(each.name)
        this.revive(each)
      }
    }
  }

  /** A start that fails (its database is down as well) is tried again after a moment. */
  revive(dead: ManagedProcess): void {
    const start = async () => {
      while (!this.#over) {
        try {
          await dead.start()
          return
        } catch (error) {
          console.error(String(error))
          await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS))
        }
      }
    }
    const done = start().finally(() => this.#underway.delete(dead))
    this.#underway.set(dead, done)
  }

  reviving(process: ManagedProcess): boolean {
    return this.#underway.has(process)
  }

  async settled(): Promise<void> {
    while (this.#underway.size > 0) await Promise.all(this.#underway.values())
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.settled()
  }
}
