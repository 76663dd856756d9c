import { ApiError, parseEndpointId, type RealtimeClient, type TokenProvider } from '@fal-ai/client'
import { forgetSocket, redirectSocket } from './socket-redirect.ts'

/** As fal's client asks for. */
const TOKEN_SECONDS = 120
/** The client's own default of `throttleInterval`. */
const THROTTLE_MILLISECONDS = 128

export interface RealtimeTarget {
  /** Base URL of the Darkroom, without a trailing slash. */
  readonly base: string
  readonly credentials: () => string | undefined
  readonly fetch: typeof fetch
}

/** The token a connection was last given, as long as no socket was opened with it. */
interface ConnectionState {
  unusedToken: string | undefined
}

/** Connections that share a `connectionKey` share fal's state machine, and so its token. */
const stateOfKey = new Map<string, ConnectionState>()

/** fal's realtime client with its sockets going to a Darkroom. */
export function redirectRealtime(realtime: RealtimeClient, target: RealtimeTarget): RealtimeClient {
  return {
    connect(app, handler) {
      const state = stateOf(handler.connectionKey)
      const redirect = (token: string) => {
        state.unusedToken = token
        redirectSocket(token, target.base, () => {
          state.unusedToken = undefined
        })
      }
      const provideToken = handler.tokenProvider ?? ((id: string) => mintToken(id, target))
      const tokenProvider: TokenProvider = async (id) => {
        try {
          const token = await provideToken(id)
          redirect(token)
          return token
        } catch (error) {
          // fal's client goes idle without a word.
          handler.onError?.(asApiError(error))
          throw error
        }
      }
      const connection = realtime.connect(app, { ...handler, tokenProvider } as typeof handler)
      return {
        send(input) {
          // A connection that failed is tried again with the token it has, without asking for one.
          if (state.unusedToken !== undefined) redirect(state.unusedToken)
          connection.send(input)
        },
        close() {
          connection.close()
          const { unusedToken } = state
          if (unusedToken === undefined) return
          // An input that the client holds back may still open the connection it belongs to.
          const heldBackMs = handler.throttleInterval ?? THROTTLE_MILLISECONDS
          if (heldBackMs === 0) forgetSocket(unusedToken)
          else setTimeout(() => forgetSocket(unusedToken), heldBackMs * 2)
        },
      }
    },
  }
}

function stateOf(connectionKey: string | undefined): ConnectionState {
  const known = connectionKey === undefined ? undefined : stateOfKey.get(connectionKey)
  if (known !== undefined) return known
  const state: ConnectionState = { unusedToken: undefined }
  if (connectionKey !== undefined) stateOfKey.set(connectionKey, state)
  return state
}

/** @param id the endpoint id with the socket's path: `fal-ai/instantid/lcm/realtime` */
async function mintToken(id: string, target: RealtimeTarget): Promise<string> {
  const credentials = target.credentials()
  const response = await target.fetch(`${target.base}/rest/tokens/`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(credentials === undefined ? {} : { authorization: `Key ${credentials}` }),
    },
    body: JSON.stringify({ allowed_apps: [parseEndpointId(id).alias], token_expiration: TOKEN_SECONDS }),
  })
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok && typeof body === 'string') return body
  throw new ApiError({ message: messageOf(body) ?? `HTTP ${response.status}`, status: response.status, body })
}

function messageOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('detail' in body)) return undefined
  return typeof body.detail === 'string' ? body.detail : JSON.stringify(body.detail)
}

function asApiError(error: unknown): ApiError<unknown> {
  if (error instanceof ApiError) return error
  return new ApiError({ message: error instanceof Error ? error.message : String(error), status: 500, body: undefined })
}
