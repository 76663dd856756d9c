import { randomBytes, randomUUID } from 'node:crypto'
import { type ChannelServer, createChannelServer } from '../channel/channel-server.ts'
import { endsWithin } from '../channel/deadline.ts'
import type { DirectWork } from '../channel/direct-channel.ts'
import type { ArithmeticName, RunnableEndpoint } from '../endpoints/endpoint.ts'
import type { ProcessLog } from '../log/process-log.ts'
import { parseInput } from '../validation/json-input.ts'
import { validateInput } from '../validation/validate-input.ts'
import type { AttemptEnvironment, InputValidation } from './attempt.ts'
import { Claims } from './claims.ts'
import { runDirectWork } from './direct-work.ts'
import { type ClaimedJob, Dispatcher } from './dispatcher.ts'
import { InputMemory } from './input-memory.ts'
import { NextWeights } from './next-weights.ts'
import { holdQueueWork, type QueueWorkEnvironment } from './queue-work.ts'
import type { RunnerQueue } from './runner-queue.ts'
import { StopReason } from './stop-reason.ts'

/** `validate` and `parseInput` are the schemas' own when absent. */
export interface RunnerOptions extends Partial<InputValidation> {
  readonly queue: RunnerQueue
  readonly endpoints: readonly RunnableEndpoint[]
  /** Reading and saving files on behalf of a request. */
  readonly files: AttemptEnvironment['files']
  readonly log: ProcessLog
  /** What draws: said by the advertisement and by every answer. */
  readonly arithmetic: ArithmeticName
  readonly memoryBytes: number
  /** Endpoint ids (or hints) whose models are loaded now. */
  readonly warm?: () => readonly string[]
  /** A UUID when absent. */
  readonly runnerId?: string
  /** Requests that draw at a time; 1 when absent, since an engine uses the whole device for one picture. */
  readonly capacity?: number
  /** Where the direct channel listens; 127.0.0.1 and any free port when absent. */
  readonly listen?: { readonly host?: string; readonly port?: number; readonly advertisedHost?: string }
  /** Milliseconds that the device is kept free for a request that still prepares; 50 when absent. */
  readonly patienceMs?: number
  /** Bytes that the input pictures of all requests may take; 512 MiB when absent. */
  readonly inputMemoryBytes?: number
  /** Seconds that one request may run where it says nothing itself; 3600 when absent. */
  readonly runTimeoutSeconds?: number
  /** Seconds that an aborted handler may take to stop before the process counts as stuck; 120 when absent. */
  readonly abortGraceSeconds?: number
  /** Whether pictures are to carry the request that they come from; they are not unless told so. */
  readonly recordsRequests?: boolean
  /** A handler did not stop in time: ends the process when absent, for a supervisor to start a new one. */
  readonly onStuck?: (endpointId: string) => void
  /** Milliseconds between lease renewals (and cancel checks); when absent 1000, or less for a short lease. */
  readonly heartbeatMs?: number
  /** Milliseconds between advertisements; 2000 when absent. */
  readonly advertiseMs?: number
  /** Milliseconds after which the queue is asked although no wake-up came (one may be lost); 5000 when absent. */
  readonly checkQueueMs?: number
  /** Milliseconds within which a runner that draws looks once at what it will claim next; 2000 when absent. */
  readonly lookAheadMs?: number
  /** Milliseconds that log entries are collected for; 100 when absent. */
  readonly logFlushMs?: number
}

export interface Runner {
  readonly runnerId: string
  /** `ws://127.0.0.1:41234` */
  readonly address: string
  /** Asks the queue for work now: for wake-ups that reach this process another way than the queue's own. */
  wake(): void
  /**
   * Takes nothing new, finishes what it holds within `seconds`, hands back what is left and closes.
   * Calling it again waits for the first call.
   */
  drain(seconds: number): Promise<void>
}

/** Exit status of a process whose handler did not stop: EX_SOFTWARE of sysexits.h. */
const STUCK_EXIT_CODE = 70

/** Requests of the queue that are held here without drawing: more than one client's slow pictures can keep (see `inputFetches`). */
const CLAIMS_AHEAD = 64

/** Weights are read in seconds; looking more often would find nothing new for short pictures. */
const LOOK_AHEAD_MS = 2_000

const DEFAULT_INPUT_MEMORY = 512 * 1024 ** 2

/** Starts working: claims from the queue, answers the direct channel, advertises itself. */
export async function startRunner(options: RunnerOptions): Promise<Runner> {
  const runner = new EndpointRunner(options)
  await runner.start()
  return runner
}

class EndpointRunner implements Runner {
  readonly runnerId: string
  readonly #options: RunnerOptions
  readonly #endpointIds: readonly string[]
  readonly #environment: QueueWorkEnvironment
  readonly #claims: Claims
  readonly #dispatcher: Dispatcher
  readonly #nextWeights: NextWeights
  readonly #channelToken = randomBytes(32).toString('hex')
  /** Every attempt that is running, to stop them all at the end of a drain. */
  readonly #controllers = new Set<AbortController>()
  readonly #timers: NodeJS.Timeout[] = []
  #channel: ChannelServer | undefined
  #unsubscribe = () => {}
  #drained: Promise<void> | undefined

  constructor(options: RunnerOptions) {
    const { queue, log } = options
    this.#options = options
    this.runnerId = options.runnerId ?? randomUUID()
    const endpoints = byEveryId(options.endpoints)
    this.#endpointIds = [...endpoints.keys()]
    this.#claims = new Claims(
      queue,
      this.runnerId,
      options.heartbeatMs ?? Math.min(1_000, (queue.leaseSeconds * 1_000) / 3),
      log,
    )
    this.#environment = {
      runnerId: this.runnerId,
      endpoints,
      validation: {
        parseInput: options.parseInput ?? parseInput,
        validate: options.validate ?? ((schema, input) => validateInput(schema.input, input)),
      },
      files: options.files,
      inputMemory: new InputMemory(options.inputMemoryBytes ?? DEFAULT_INPUT_MEMORY),
      log,
      queue,
      claims: this.#claims,
      logFlushMs: options.logFlushMs ?? 100,
      runTimeoutSeconds: options.runTimeoutSeconds ?? 3_600,
      abortGraceSeconds: options.abortGraceSeconds ?? 120,
      arithmetic: options.arithmetic,
      recordsRequests: options.recordsRequests ?? false,
      onDrawing: () => this.#lookAhead(),
      onStuck: (endpointId) => this.#onStuck(endpointId),
    }
    this.#nextWeights = new NextWeights({
      peek: () => queue.peek(this.runnerId, this.#endpointIds, this.#warm()),
      endpoints,
      validation: this.#environment.validation,
      intervalMs: options.lookAheadMs ?? LOOK_AHEAD_MS,
    })
    this.#dispatcher = new Dispatcher({
      capacity: options.capacity ?? 1,
      claim: () => this.#claim(),
      claimRetryMs: 1_000,
      patienceMs: options.patienceMs ?? 50,
      claimsAhead: CLAIMS_AHEAD,
      onClaimError: (err) => log.error({ err }, 'claiming from the queue failed, trying again'),
    })
  }

  get address(): string {
    return this.#channel?.address ?? ''
  }

  async start(): Promise<void> {
    const { queue, listen } = this.#options
    this.#channel = await createChannelServer({
      ...listen,
      token: this.#channelToken,
      run: (work) => this.#runDirect(work),
    })
    await this.#advertise()
    this.#every(this.#options.advertiseMs ?? 2_000, () => this.#advertise())
    this.#every(this.#options.checkQueueMs ?? 5_000, () => this.wake())
    this.#every(this.#options.lookAheadMs ?? LOOK_AHEAD_MS, () => this.#lookAhead())
    this.#unsubscribe = queue.onWork(() => this.wake())
    this.wake()
  }

  wake(): void {
    this.#dispatcher.wake()
  }

  drain(seconds: number): Promise<void> {
    this.#drained ??= this.#drain(seconds)
    return this.#drained
  }

  async #drain(seconds: number): Promise<void> {
    const { queue, log } = this.#options
    this.#unsubscribe()
    for (const timer of this.#timers) clearInterval(timer)
    this.#dispatcher.stopClaiming()
    this.#nextWeights.end()
    const idle = this.#dispatcher.idle().then(() => this.#claims.empty())
    await endsWithin(Promise.all([this.#channel?.drain(seconds), idle]), seconds)
    const stop = new StopReason('shutdown', 'The runner was shut down before the request was done')
    const released = this.#claims.releaseAll()
    for (const controller of this.#controllers) controller.abort(stop)
    await released
    this.#claims.close()
    await this.#channel?.close()
    await queue.withdraw(this.runnerId).catch((err: unknown) => log.error({ err }, 'withdrawing failed'))
  }

  async #claim(): Promise<ClaimedJob | undefined> {
    const { queue } = this.#options
    const claimed = await queue.claim(this.runnerId, this.#endpointIds, this.#warm())
    this.#nextWeights.claimed(claimed?.requestId)
    if (claimed === undefined) return undefined
    if (this.#drained !== undefined) {
      await queue.release({ requestId: claimed.requestId, attempt: claimed.attempt })
      return undefined
    }
    const controller = new AbortController()
    this.#controllers.add(controller)
    const { job, completed } = holdQueueWork(claimed, controller, this.#environment)
    completed.finally(() => {
      this.#controllers.delete(controller)
      // Its completion may let another request of the endpoint run.
      this.wake()
    })
    return { account: claimed.account, job }
  }

  /** A runner that is free claims instead. */
  #lookAhead(): void {
    if (this.#dispatcher.isFull) void this.#nextWeights.look()
  }

  async #runDirect(work: DirectWork): Promise<void> {
    const controller = new AbortController()
    this.#controllers.add(controller)
    await this.#dispatcher.submit({
      account: work.conversation.account,
      job: (turn) => runDirectWork(work, controller, turn, this.#environment),
    })
    this.#controllers.delete(controller)
  }

  async #advertise(): Promise<void> {
    const { arithmetic, memoryBytes, capacity } = this.#options
    await this.#options.queue.advertise({
      runnerId: this.runnerId,
      endpointIds: this.#endpointIds,
      address: this.address,
      channelToken: this.#channelToken,
      device: arithmetic.device,
      precision: arithmetic.precision,
      memoryBytes,
      residentBytes: process.memoryUsage.rss(),
      warm: this.#warm(),
      busy: this.#dispatcher.busy,
      capacity: capacity ?? 1,
    })
  }

  #warm(): readonly string[] {
    return this.#options.warm?.() ?? []
  }

  #every(ms: number, action: () => Promise<void> | void): void {
    const { log } = this.#options
    const timer = setInterval(async () => {
      try {
        await action()
      } catch (err) {
        log.error({ err }, 'advertising the runner failed, trying again')
      }
    }, ms)
    this.#timers.push(timer)
  }

  #onStuck(endpointId: string): void {
    const { log, onStuck } = this.#options
    log.error({ endpointId }, 'a handler did not stop after its abort; the process has to be replaced')
    // What it claimed now would be lost with it, and that counts against the request.
    this.#dispatcher.stopClaiming()
    if (onStuck !== undefined) onStuck(endpointId)
    // The answer to the stuck request goes out first.
    else setTimeout(() => process.exit(STUCK_EXIT_CODE), 1_000)
  }
}

function byEveryId(endpoints: readonly RunnableEndpoint[]): Map<string, RunnableEndpoint> {
  const byId = new Map<string, RunnableEndpoint>()
  for (const endpoint of endpoints) {
    for (const id of [endpoint.schema.id, ...endpoint.schema.aliases]) byId.set(id, endpoint)
  }
  return byId
}
