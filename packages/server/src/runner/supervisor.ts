import { type ChildProcess, fork } from 'node:child_process'
import { awakeInterval } from '../channel/awake-interval.ts'
import type { ProcessLog } from '../log/process-log.ts'
import { isRunnerReport } from './supervised.ts'

export interface SupervisorOptions {
  /** Module that the runner process runs: calls `startRunner` and `superviseSelf`. */
  readonly entry: string | URL
  readonly args?: readonly string[]
  /** Node's own options, e.g. `['--import', 'tsx']`; the parent's when absent. */
  readonly execArgv?: readonly string[]
  /** The parent's when absent. */
  readonly env?: NodeJS.ProcessEnv
  readonly log: ProcessLog
  /** A runner that reports more resident memory than this is drained and replaced. */
  readonly memoryLimitBytes?: number
  /** Seconds without a report, this process awake, after which a runner counts as hung and is killed; 15 when absent. */
  readonly hangSeconds?: number
  /** Seconds until the first report: loading code and opening a database; 60 when absent. */
  readonly startSeconds?: number
  /** Seconds that a stopped runner has before it is killed; 35 when absent (a drain's 30 and some). */
  readonly stopSeconds?: number
  /**
   * Shortest and longest wait before a restart, in milliseconds, and the longest for a process that had come up: that
   * one died of its work, which is retried for a limited number of times. 200, 30,000 and 2,000 when absent.
   */
  readonly backOffMs?: { readonly first: number; readonly longest: number; readonly longestOnceUp?: number }
  /** Each new process, before it runs: bridge the queue's events to it here. */
  readonly onStart?: (child: ChildProcess) => void
  /** A runner process ended. `runnerId` is absent when it never reported: withdraw it from the queue here. */
  readonly onExit?: (exit: RunnerExit) => void
}

export interface RunnerExit {
  readonly runnerId: string | undefined
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** True when `stop` asked for it. */
  readonly expected: boolean
}

export interface Supervisor {
  /** The process that runs now; `undefined` while waiting to restart. */
  readonly child: ChildProcess | undefined
  /** Resolves when a runner has reported for the first time. */
  readonly ready: Promise<void>
  /** Drains the runner (SIGTERM), kills it when that takes too long; no restart. */
  stop(): Promise<void>
}

/** A run this long proves the process sound: the back-off starts again from its shortest wait. */
const SOUND_RUN_MILLISECONDS = 60_000

/**
 * Keeps one runner process running: starts it, and starts it again when it dies, hangs or outgrows its memory. What it
 * was working on is the queue's to retry; direct work ends with 503.
 */
export function superviseRunner(options: SupervisorOptions): Supervisor {
  return new RunnerSupervisor(options)
}

class RunnerSupervisor implements Supervisor {
  readonly ready: Promise<void>
  readonly #options: SupervisorOptions
  #process: RunnerProcess | undefined
  /** Processes in a row that ended before they had come up. */
  #failedStarts = 0
  /** Processes in a row that ended soon after. */
  #deaths = 0
  #restart: NodeJS.Timeout | undefined
  #stopping: Promise<void> | undefined
  #resolveReady: () => void = () => {}

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve
    })
    this.#start()
  }

  get child(): ChildProcess | undefined {
    return this.#process?.child
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#restart)
    await this.#process?.stop()
  }

  #start(): void {
    const { log } = this.#options
    const startedAt = performance.now()
    this.#process = new RunnerProcess(this.#options, {
      onReport: () => this.#resolveReady(),
      onExit: (runnerId, code, signal) => {
        this.#process = undefined
        const expected = this.#stopping !== undefined
        this.#options.onExit?.({ runnerId, code, signal, expected })
        if (expected) return
        const delayMs = this.#backOff(performance.now() - startedAt, runnerId !== undefined)
        log.error({ runnerId, code, signal, delayMs }, 'the runner process ended, starting another')
        this.#restart = setTimeout(() => this.#start(), delayMs)
      },
    })
  }

  #backOff(ranMs: number, cameUp: boolean): number {
    const { first, longest, longestOnceUp = 2_000 } = this.#options.backOffMs ?? { first: 200, longest: 30_000 }
    if (!cameUp) this.#failedStarts += 1
    else {
      this.#failedStarts = 0
      this.#deaths = ranMs >= SOUND_RUN_MILLISECONDS ? 1 : this.#deaths + 1
    }
    return cameUp
      ? Math.min(first * 2 ** (this.#deaths - 1), longestOnceUp)
      : Math.min(first * 2 ** (this.#failedStarts - 1), longest)
  }
}

/** How often the time without a report is looked at. */
const LOOKS = 10

interface RunnerProcessHooks {
  onReport(): void
  onExit(runnerId: string | undefined, code: number | null, signal: NodeJS.Signals | null): void
}

/** One runner process: watched for silence and for memory. */
class RunnerProcess {
  readonly child: ChildProcess
  readonly #options: SupervisorOptions
  readonly #exited: Promise<void>
  #runnerId: string | undefined
  #silence: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: SupervisorOptions, hooks: RunnerProcessHooks) {
    this.#options = options
    this.child = fork(options.entry, [...(options.args ?? [])], {
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.execArgv === undefined ? {} : { execArgv: [...options.execArgv] }),
    })
    this.#exited = new Promise((resolve) => {
      const exited = (code: number | null, signal: NodeJS.Signals | null) => {
        clearInterval(this.#silence)
        hooks.onExit(this.#runnerId, code, signal)
        resolve()
      }
      this.child.once('exit', exited)
      // No process was made (no memory, no file): 'exit' never comes.
      this.child.once('error', (err) => {
        options.log.error({ err }, 'the runner process could not be started')
        if (this.child.pid === undefined) exited(null, null)
      })
    })
    this.#expectReport(options.startSeconds ?? 60)
    this.child.on('message', (message) => {
      if (!isRunnerReport(message)) return
      this.#runnerId = message.runnerReport.runnerId
      this.#expectReport(options.hangSeconds ?? 15)
      this.#checkMemory(message.runnerReport.residentBytes)
      hooks.onReport()
    })
    options.onStart?.(this.child)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.child.kill('SIGTERM')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), (this.#options.stopSeconds ?? 35) * 1000)
    await this.#exited
    clearTimeout(timer)
  }

  /** Silence counts while this process runs: one that stood still has not read what the runner said meanwhile. */
  #expectReport(seconds: number): void {
    clearInterval(this.#silence)
    let looks = 0
    this.#silence = awakeInterval((seconds * 1000) / LOOKS, (stoodStill) => {
      if (stoodStill || ++looks < LOOKS) return
      clearInterval(this.#silence)
      const details = { pid: this.child.pid, runnerId: this.#runnerId, seconds }
      this.#options.log.error(details, 'the runner process is hung, killing it')
      this.child.kill('SIGKILL')
    })
  }

  #checkMemory(residentBytes: number): void {
    const { memoryLimitBytes, log } = this.#options
    if (this.#stopped || memoryLimitBytes === undefined || residentBytes <= memoryLimitBytes) return
    log.warn({ residentBytes, memoryLimitBytes }, 'the runner process outgrew its memory, replacing it')
    void this.stop()
  }
}
