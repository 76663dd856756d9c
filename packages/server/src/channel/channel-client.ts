import { setTimeout as sleep } from 'node:timers/promises'
import { requestError, WireError } from '../errors/errors.ts'
import type { RequestQueue, RunnerAdvertisement } from '../queue/request-queue.ts'
import { ClientConversation } from './client-conversation.ts'
import { startTimeoutError } from './deadline.ts'
import type { ConversationOptions, DirectChannel, DirectConversation } from './direct-channel.ts'
import { RunnerConnection } from './runner-connection.ts'
import { RunnerDirectory } from './runner-directory.ts'

const RUNNER_POLL_MILLISECONDS = 100

export interface DirectChannelOptions {
  readonly queue: Pick<RequestQueue, 'runners'>
  /** Whether any endpoint has this id; unknown ids are answered 404 at once. Absent: every id may appear later. */
  readonly endpointExists?: (endpointId: string) => boolean
  /** How long to wait for a runner when the caller set no start timeout; 30 when absent. */
  readonly runnerWaitSeconds?: number
}

/** The gateway's side of the direct channel. */
export function createDirectChannel(options: DirectChannelOptions): DirectChannel {
  return new PooledDirectChannel(options)
}

/** One socket per runner, opened when it is first needed and kept: a sync run on a warm socket is one round trip. */
class PooledDirectChannel implements DirectChannel {
  readonly #options: DirectChannelOptions
  readonly #directory: RunnerDirectory
  readonly #connections = new Map<string, Promise<RunnerConnection>>()
  /** The same connections once they are up: choosing among runners must not wait for one that is being dialled. */
  readonly #up = new Map<string, RunnerConnection>()
  /** Conversations that wait for a connection: a burst on a cold start must not all choose the same runner. */
  readonly #waiting = new Map<string, number>()
  #waits = true
  #closed = false

  constructor(options: DirectChannelOptions) {
    this.#options = options
    this.#directory = new RunnerDirectory(
      () => options.queue.runners(),
      (runners) => this.#hangUpOnGone(runners),
    )
  }

  async open(conversation: ConversationOptions): Promise<DirectConversation> {
    const { endpointId, startTimeoutSeconds } = conversation
    if (this.#options.endpointExists?.(endpointId) === false) {
      throw new WireError(404, `Application "${endpointId}" not found`)
    }
    const waitSeconds = startTimeoutSeconds ?? this.#options.runnerWaitSeconds ?? 30
    const waitUntil = performance.now() + waitSeconds * 1000
    while (!this.#closed) {
      const connection = await this.#connectToOne(conversation)
      if (connection !== undefined) return new ClientConversation(connection, conversation, waitUntil)
      if (!this.#waits || performance.now() >= waitUntil) break
      await sleep(RUNNER_POLL_MILLISECONDS)
    }
    if (startTimeoutSeconds !== undefined && this.#waits) throw startTimeoutError(startTimeoutSeconds)
    throw requestError('runner_scheduling_failure', `No runner is available for ${endpointId}`)
  }

  stopWaiting(): void {
    this.#waits = false
  }

  async close(): Promise<void> {
    this.stopWaiting()
    this.#closed = true
    for (const connection of this.#connections.values()) (await connection.catch(() => undefined))?.close()
  }

  async #connectToOne(conversation: ConversationOptions): Promise<RunnerConnection | undefined> {
    for (const runner of this.#byPreference(await this.#directory.of(conversation.endpointId), conversation)) {
      const connection = this.#up.get(runner.runnerId) ?? (await this.#dial(runner))
      if (connection !== undefined) return connection
    }
    return undefined
  }

  /** Best first: the hinted runner, then one that has the model loaded, then the least busy, then the fewest conversations. */
  #byPreference(runners: readonly RunnerAdvertisement[], conversation: ConversationOptions): RunnerAdvertisement[] {
    if (runners.length < 2) return [...runners]
    const { endpointId, runnerHint } = conversation
    const rank = (runner: RunnerAdvertisement): readonly number[] => [
      runnerHint !== undefined && runner.warm.includes(runnerHint) ? 0 : 1,
      runner.warm.includes(endpointId) ? 0 : 1,
      this.#load(runner),
      (this.#up.get(runner.runnerId)?.conversations ?? 0) + (this.#waiting.get(runner.runnerId) ?? 0),
    ]
    return runners
      .map((runner) => ({ runner, rank: rank(runner) }))
      .sort((a, b) => compareRanks(a.rank, b.rank))
      .map(({ runner }) => runner)
  }

  /** Work per slot. The advertisement is up to a heartbeat old, what this gateway sent there is known exactly. */
  #load(runner: RunnerAdvertisement): number {
    const underway = this.#up.get(runner.runnerId)?.underway ?? 0
    return Math.max(runner.busy, underway) / Math.max(runner.capacity, 1)
  }

  async #dial(runner: RunnerAdvertisement): Promise<RunnerConnection | undefined> {
    const waiting = (by: number) => this.#waiting.set(runner.runnerId, (this.#waiting.get(runner.runnerId) ?? 0) + by)
    waiting(1)
    try {
      return await this.#connection(runner)
    } catch {
      return undefined
    } finally {
      waiting(-1)
    }
  }

  #connection(runner: RunnerAdvertisement): Promise<RunnerConnection> {
    const { runnerId } = runner
    const existing = this.#connections.get(runnerId)
    if (existing !== undefined) return existing
    const forget = () => {
      this.#connections.delete(runnerId)
      this.#up.delete(runnerId)
      this.#directory.avoid(runnerId)
    }
    const connection = RunnerConnection.connect(runner, forget)
    this.#connections.set(runnerId, connection)
    connection.then((up) => {
      this.#up.set(runnerId, up)
      if (this.#closed) up.close()
    }, forget)
    return connection
  }

  #hangUpOnGone(runners: readonly RunnerAdvertisement[]): void {
    const listed = new Set(runners.map((runner) => runner.runnerId))
    for (const [runnerId, waiting] of this.#waiting) if (waiting === 0) this.#waiting.delete(runnerId)
    for (const connection of this.#up.values()) {
      if (!listed.has(connection.runnerId) && connection.conversations === 0 && connection.underway === 0)
        connection.close()
    }
  }
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, rank] of a.entries()) {
    const difference = rank - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
