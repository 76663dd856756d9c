import type { WebSocket } from 'ws'
import type { ConversationOptions } from '../channel/direct-channel.ts'
import type { Catalogue } from '../endpoints/catalogue.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { applicationOf, parseEndpointId } from '../protocol/endpoint-id.ts'
import { OBJECT_LIFECYCLE, RUNNER_HINT } from '../protocol/headers.ts'
import { createRequestId } from '../protocol/request-id.ts'
import { DEFAULT_ACCOUNT } from '../queue/request-queue.ts'
import { parseLifecycle } from '../storage/lifecycle.ts'
import { verifyKey, verifyToken } from './authentication.ts'
import type { GatewayDependencies } from './dependencies.ts'
import { requireEndpoint } from './endpoint-lookup.ts'
import { refuseUnfetchableUrls } from './input-urls.ts'
import type { VerifiedKey } from './key-store.ts'
import { MessageMemory } from './message-memory.ts'
import { publicUrlsOf } from './public-urls.ts'
import { RealtimeConnection, type RealtimeConnectionOptions } from './realtime-connection.ts'
import { SURFACE_PREFIX } from './surface.ts'
import type { Handshake, SocketService } from './web-sockets.ts'

export type RealtimeDependencies = Pick<
  GatewayDependencies,
  'channel' | 'catalogue' | 'keys' | 'tokens' | 'config' | 'metrics' | 'bounds' | 'log' | 'weights'
>

export interface RealtimeSettings {
  /** Inputs that wait when the client does not say; 2 when absent, which the clients recommend. */
  readonly defaultBuffering?: number
  /** Seconds without an input before a connection is closed; 300 when absent. */
  readonly idleSeconds?: number
  /** Largest message of a client; 64 MiB when absent. */
  readonly maxMessageBytes?: number
}

/** Whose a socket is; without a key in no-key mode. */
type SocketHolder = Pick<VerifiedKey, 'account'> & Partial<Pick<VerifiedKey, 'keyId'>>

const LARGEST_BUFFERING = 60
const UNAUTHORIZED_MESSAGE = '{"status":"error","error":"Unauthorized"}'
/** RFC 6455, 7.4.1. */
const POLICY_VIOLATION = 1008

/** Realtime sockets: `/{id}/realtime` and `/{id}/ws` of the run surface. */
export function realtimeService(dependencies: RealtimeDependencies, settings: RealtimeSettings = {}): SocketService {
  return {
    maxMessageBytes: settings.maxMessageBytes ?? 64 * 1024 * 1024,
    serves: (path) => !path.startsWith(`${SURFACE_PREFIX.ws}/`),
    async admit(handshake) {
      const target = requireRealtimeTarget(dependencies.catalogue, handshake.path)
      const holder = await authenticate(dependencies, handshake, target)
      if (holder === undefined) return { account: DEFAULT_ACCOUNT, converse: refuseAccess }
      const { account } = holder
      const conversation = conversationOptions(dependencies, handshake, target, holder)
      const maxBuffering = bufferingOf(handshake.url) ?? settings.defaultBuffering ?? 2
      return {
        account,
        converse: (socket, connection) =>
          converse(dependencies, socket, target, {
            conversation,
            memory: new MessageMemory(
              socket,
              connection,
              dependencies.bounds.bodies.lease(() => account),
            ),
            maxBuffering,
            idleSeconds: settings.idleSeconds ?? 300,
          }),
      }
    },
  }
}

function converse(
  dependencies: RealtimeDependencies,
  socket: WebSocket,
  { endpoint }: RealtimeTarget,
  options: Pick<RealtimeConnectionOptions, 'conversation' | 'memory' | 'maxBuffering' | 'idleSeconds'>,
): RealtimeConnection {
  const { channel, metrics, bounds, log } = dependencies
  const fields = Object.keys(endpoint.input.shape)
  metrics.openStreams.inc({ kind: 'realtime' })
  socket.once('close', () => metrics.openStreams.dec({ kind: 'realtime' }))
  return new RealtimeConnection(socket, channel, {
    ...options,
    endpoint,
    readFrame: (frame, signal) => bounds.inputs.readFrame(options.conversation.account, { ...frame, fields }, signal),
    refuseUrls: (input) => refuseUnfetchableUrls(dependencies, endpoint, input),
    onDefect: (err) => log.error({ err, requestId: options.conversation.requestId }, 'a realtime connection failed'),
  })
}

/**
 * @returns `undefined` for a token that opens nothing: told by a message after the handshake, the one place where a
 *   browser's script sees it
 * @throws WireError 401 for a bad Authorization header
 */
async function authenticate(
  dependencies: RealtimeDependencies,
  { headers, url }: Handshake,
  target: RealtimeTarget,
): Promise<SocketHolder | undefined> {
  if (dependencies.keys === undefined) return { account: DEFAULT_ACCOUNT }
  const token = url.searchParams.get('fal_jwt_token')
  const { authorization } = headers
  if (authorization === undefined)
    return token === null ? undefined : await verifyToken(dependencies, token, target.application)
  return (await verifyKey(dependencies, authorization)) ?? { account: DEFAULT_ACCOUNT }
}

function conversationOptions(
  { config }: RealtimeDependencies,
  handshake: Handshake,
  { endpoint }: RealtimeTarget,
  { account, keyId }: SocketHolder,
): ConversationOptions {
  const header = (name: string) => {
    const value = handshake.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  const lifecycle = header(OBJECT_LIFECYCLE)
  parseLifecycle(lifecycle)
  const hint = header(RUNNER_HINT)
  return {
    requestId: createRequestId(),
    endpointId: endpoint.id,
    filesUrl: publicUrlsOf({ url: handshake.url.href, header }, config.publicUrl).cdn,
    // A result per input: an intermediate output would be taken for one.
    streaming: false,
    inlineBytes: true,
    account,
    ...(keyId === undefined ? {} : { keyId }),
    ...(lifecycle === undefined ? {} : { objectLifecycle: lifecycle }),
    ...(hint === undefined ? {} : { runnerHint: hint }),
  }
}

/** `max_buffering` of the query, 1 to 60. */
function bufferingOf(url: URL): number | undefined {
  const buffering = Number.parseInt(url.searchParams.get('max_buffering') ?? '', 10)
  return Number.isNaN(buffering) ? undefined : Math.min(Math.max(buffering, 1), LARGEST_BUFFERING)
}

function refuseAccess(socket: WebSocket): undefined {
  socket.send(UNAUTHORIZED_MESSAGE)
  socket.close(POLICY_VIOLATION, 'Unauthorized')
}

interface RealtimeTarget {
  readonly endpoint: EndpointSchema
  /** `owner/alias`, by which tokens are scoped. */
  readonly application: string
}

/**
 * A socket's path without what clients put behind an endpoint id: `/realtime`, `/ws` (the oldest clients), or an explicit path of their
 * own choice of these. Python appends `/realtime` to an id that ends in it already.
 */
function withoutSocketSuffix(path: string): string {
  let id = path.endsWith('/') ? path.slice(0, -1) : path
  while (id.endsWith('/realtime') || id.endsWith('/ws')) id = id.slice(0, id.lastIndexOf('/'))
  return id
}

/**
 * The endpoint that a socket's path means.
 * @throws WireError 404 for any other path
 */
function requireRealtimeTarget(catalogue: Catalogue, path: string): RealtimeTarget {
  const prefix = `${SURFACE_PREFIX.run}/`
  const id = path.startsWith(prefix) ? withoutSocketSuffix(path.slice(prefix.length)) : ''
  const parsed = parseEndpointId(id)
  if (parsed === undefined) throw new WireError(404, 'Not Found')
  const endpoint = requireEndpoint(catalogue, id)
  if (!endpoint.realtime) throw new WireError(404, 'Path /realtime not found')
  return { endpoint, application: applicationOf(parsed) }
}
