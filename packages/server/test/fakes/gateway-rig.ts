import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hono } from 'hono'
import { z } from 'zod'
import type {
  ChannelEvent,
  ConversationOptions,
  DirectChannel,
  DirectConversation,
} from '../../src/channel/direct-channel.ts'
import { type ConfigOverrides, type Environment, readConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/db/database.ts'
import { openLibsqlDatabase } from '../../src/db/libsql-database.ts'
import { createCatalogue } from '../../src/endpoints/catalogue.ts'
import type { EndpointSchema } from '../../src/endpoints/endpoint.ts'
import { toErrorAnswer } from '../../src/errors/error-answer.ts'
import { createApp } from '../../src/gateway/app.ts'
import { createGatewayBounds } from '../../src/gateway/bounds.ts'
import type { GatewayDependencies, GatewayEnv } from '../../src/gateway/dependencies.ts'
import { createGatewayMetrics } from '../../src/gateway/metrics.ts'
import { createRealtimeTokens } from '../../src/gateway/realtime-tokens.ts'
import { stringifyJson } from '../../src/protocol/json-text.ts'
import type { ClaimedRequest, Outcome, RequestQueue } from '../../src/queue/request-queue.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import { parseInput } from '../../src/validation/json-input.ts'
import { validateInput } from '../../src/validation/validate-input.ts'
import { storageOf } from './gateway-storage.ts'

/** An endpoint whose input needs coercion and whose output repeats it. */
export const echoEndpoint: EndpointSchema = {
  id: 'acme/echo',
  aliases: ['110602490-legacy-echo'],
  title: 'Echo',
  description: 'Answers with its input',
  category: 'test',
  input: z.object({
    prompt: z.string(),
    count: z.int().min(1).max(8).default(1),
    seed: z.bigint().min(0n).nullish(),
  }),
  output: z.object({ prompt: z.string(), count: z.int() }),
  realtime: false,
  tags: ['repetition'],
  group: { key: 'acme-echo', label: 'Echoes' },
  addedOn: '2026-01-02',
}

const { addedOn: _, ...undated } = echoEndpoint

/** The same application's second path. */
export const echoTwiceEndpoint: EndpointSchema = { ...undated, id: 'acme/echo/twice', aliases: [] }

/** What a test's direct channel does with an input; by default repeats it. */
export type Converse = (
  input: unknown,
  options: ConversationOptions,
  signal: AbortSignal,
) => AsyncIterable<ChannelEvent>

async function* echo(input: unknown): AsyncIterable<ChannelEvent> {
  yield { type: 'started' }
  yield { type: 'result', status: 200, headers: { 'x-fal-billable-units': '1' }, output: input, inferenceSeconds: 0.25 }
}

export interface GatewayRig {
  readonly app: Hono<GatewayEnv>
  readonly queue: RequestQueue
  readonly database: Database
  /** Conversations opened so far. */
  readonly conversations: readonly ConversationOptions[]
  /** Errors the gateway logged. */
  readonly logged: readonly { readonly message: string; readonly fields: object }[]
  converse: Converse
  claim(): Promise<ClaimedRequest>
  /** Claims the next request and ends it as a runner would: the validated input repeated, or the error. */
  workOff(extra?: Partial<Outcome>): Promise<ClaimedRequest>
  close(): Promise<void>
}

export interface RigOptions {
  readonly config?: ConfigOverrides
  readonly environment?: Environment
  readonly dependencies?: (database: Database) => Partial<GatewayDependencies>
}

/** The gateway on the real queue (libsql in a folder of its own) and a direct channel played by the test. */
export async function createGatewayRig(options: RigOptions = {}): Promise<GatewayRig> {
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-gateway-'))
  const database = await openLibsqlDatabase(join(folder, 'darkroom.db'))
  const queue = createRequestQueue(database)
  const conversations: ConversationOptions[] = []
  const logged: { message: string; fields: object }[] = []
  const log = (fields: object, message: string) => logged.push({ message, fields })
  const rig = { converse: echo as Converse }
  const config = readConfig({ host: '127.0.0.1', dataFolder: folder, ...options.config }, options.environment ?? {})
  const dependencies: GatewayDependencies = {
    config,
    queue,
    channel: playedChannel(conversations, () => rig.converse),
    catalogue: createCatalogue([echoEndpoint, echoTwiceEndpoint]),
    tokens: createRealtimeTokens(randomBytes(32)),
    ...storageOf(join(folder, 'objects')),
    webhookKeys: [{ kty: 'OKP' }],
    metrics: createGatewayMetrics(),
    bounds: createGatewayBounds(config.limits),
    log: { debug: () => undefined, info: () => undefined, warn: log, error: log },
    ...options.dependencies?.(database),
  }
  const claim = async () => {
    const claimed = await queue.claim('runner-of-test', [echoEndpoint.id, echoTwiceEndpoint.id], [])
    if (claimed === undefined) throw new Error('expected a waiting request, found none')
    return claimed
  }
  return Object.assign(rig, {
    app: createApp(dependencies),
    queue,
    database,
    conversations,
    logged,
    claim,
    async workOff(extra: Partial<Outcome> = {}) {
      const claimed = await claim()
      await queue.complete(claimed, { ...answer(claimed), ...extra })
      return claimed
    },
    async close() {
      await queue.close()
      await database.close()
      rmSync(folder, { recursive: true, force: true })
    },
  })
}

function answer(claimed: ClaimedRequest): Outcome {
  try {
    const output = validateInput(echoEndpoint.input, parseInput(claimed.input))
    return { status: 200, headers: {}, body: stringifyJson(output), inferenceSeconds: 0.25 }
  } catch (error) {
    const { status, headers, body } = toErrorAnswer(error)
    return { status, headers, body: stringifyJson(body) }
  }
}

function playedChannel(conversations: ConversationOptions[], converse: () => Converse): DirectChannel {
  return {
    async open(options): Promise<DirectConversation> {
      conversations.push(options)
      let close = () => {}
      const closed = new Promise<void>((resolve) => {
        close = resolve
      })
      return { send: (input, signal) => converse()(input, options, signal), closed, close: () => close() }
    },
    stopWaiting() {},
    async close() {},
  }
}

/** The JSON of a response, of the shape a test expects. */
export async function jsonOf<T>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T
}
