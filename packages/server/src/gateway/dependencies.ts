import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono } from 'hono'
import type { DirectChannel } from '../channel/direct-channel.ts'
import type { Config } from '../config/config.ts'
import type { Catalogue } from '../endpoints/catalogue.ts'
import type { ProcessLog } from '../log/process-log.ts'
import type { RequestQueue } from '../queue/request-queue.ts'
import type { LifecycleDefaults } from '../storage/lifecycle-defaults.ts'
import type { BodyLease } from './body-lease.ts'
import type { GatewayBounds } from './bounds.ts'
import type { DiskFigures } from './disk-use.ts'
import type { KeyStore, VerifiedKey } from './key-store.ts'
import type { LocalWeights } from './local-weights.ts'
import type { GatewayMetrics } from './metrics.ts'
import type { PlaygroundBundle } from './playground-bundle.ts'
import type { RealtimeTokens } from './realtime-tokens.ts'
import type { StorageDependencies } from './routes/storage-dependencies.ts'

/** What the gateway's own routes work with. */
export interface GatewayDependencies {
  readonly config: Config
  readonly queue: RequestQueue
  readonly channel: DirectChannel
  readonly catalogue: Catalogue
  /** Absent in no-key mode, where every call is let in. */
  readonly keys?: KeyStore
  /** Makes the tokens of browsers, and checks `fal_jwt_token` of the query. */
  readonly tokens: RealtimeTokens
  readonly storage: StorageDependencies
  /** For files whose request says nothing of their lifecycle; keys of scope ADMIN set it. */
  readonly lifecycleDefaults: LifecycleDefaults
  /** Public JWKs that webhooks are signed with, newest first. */
  readonly webhookKeys: readonly object[]
  /** Gives the playground's files; without it there is no page. */
  readonly playground?: () => Promise<PlaygroundBundle>
  /** The weights on this machine; without it there are no routes for them. */
  readonly weights?: LocalWeights
  /** What is stored and what may be, as it was last counted. */
  readonly disk?: () => DiskFigures
  readonly metrics: GatewayMetrics
  readonly bounds: GatewayBounds
  readonly log: ProcessLog
  /** What must answer for the server to be ready, by name. */
  readonly readiness?: Readonly<Record<string, () => Promise<void>>>
}

export interface GatewayEnv {
  Variables: {
    /** Id of this HTTP request; the queue's routes set it to the id of the request they speak of. */
    requestId: string
    /** The key that was presented and verified; `undefined` in no-key mode and on open routes. */
    key: VerifiedKey | undefined
    /** The browser's token that opened the route in the key's stead. */
    token: string | undefined
    /** Room for the body of a call that is answered with what it asks for. */
    body: BodyLease | undefined
  }
  Bindings: Partial<HttpBindings> & {
    /** The body of a call that came otherwise than by a message of HTTP. */
    body?: Uint8Array
  }
}

export type GatewayContext = Context<GatewayEnv>
/** A group of routes, mounted under the prefix of its surface. */
export type RouteGroup = Hono<GatewayEnv>
