import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { Readable } from 'node:stream'
import { Agent, buildConnector, request } from 'undici'
import { type AddressPolicy, refusalOf } from './address-policy.ts'
import { networkError, OutboundError } from './outbound-error.ts'

export interface OutboundRequest {
  readonly url: URL
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Seconds until the whole exchange, body included, must be over. */
  readonly timeoutSeconds: number
  readonly signal?: AbortSignal
}

export interface OutboundResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Readable
}

export interface OutboundOptions extends AddressPolicy {
  /** Name resolution; the system's unless a test gives its own. */
  readonly lookup?: LookupFunction
}

/**
 * The only way out of this server to an address that a user named. Every connection is checked three times: the
 * address in the URL (a literal never reaches name resolution: `lookup` alone let 8 of 12 hostile URLs through), every
 * address the name resolves to, and the address the socket is connected to. Redirects are not followed here.
 */
export class OutboundHttp {
  readonly #agent: Agent

  constructor(options: OutboundOptions) {
    this.#agent = new Agent({
      connect: guardedConnector(options),
      keepAliveTimeout: 4000,
      maxHeaderSize: 32 * 1024,
    })
  }

  /**
   * Sends one request and hands its response, whatever its status, to `receive`; what `receive` leaves unread is
   * dropped with the connection.
   * @throws OutboundError `invalid_url`, `blocked`, `timeout`, `network`; what `receive` throws; the signal's reason
   */
  async send<T>(outbound: OutboundRequest, receive: (response: OutboundResponse) => Promise<T>): Promise<T> {
    assertFetchable(outbound.url)
    const abort = new AbortController()
    const stop = () => abort.abort(outbound.signal?.reason)
    const late = () => abort.abort(new OutboundError('timeout', `no answer within ${outbound.timeoutSeconds} s`))
    const timer = setTimeout(late, outbound.timeoutSeconds * 1000)
    outbound.signal?.addEventListener('abort', stop)
    try {
      outbound.signal?.throwIfAborted()
      return await this.#exchange(outbound, abort.signal, receive)
    } catch (error) {
      if (abort.signal.aborted) throw abort.signal.reason
      throw asOutboundError(error)
    } finally {
      clearTimeout(timer)
      outbound.signal?.removeEventListener('abort', stop)
    }
  }

  async #exchange<T>(
    { url, method, headers, body }: OutboundRequest,
    signal: AbortSignal,
    receive: (response: OutboundResponse) => Promise<T>,
  ): Promise<T> {
    const response = await request(url, {
      method,
      signal,
      dispatcher: this.#agent,
      headers: { 'user-agent': 'Darkroom', ...headers },
      ...(body !== undefined && { body }),
    })
    // Destroying a body that is still being read is how the rest of it is refused; the error has no other reader.
    response.body.on('error', () => {})
    try {
      return await receive({
        status: response.statusCode,
        headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, one(value)])),
        body: response.body,
      })
    } finally {
      response.body.destroy()
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

/** @throws OutboundError `invalid_url` */
export function assertFetchable(url: URL): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new OutboundError('invalid_url', `expected http: or https:, got ${url.protocol}`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new OutboundError('invalid_url', 'a URL with a user name or password is not fetched')
  }
}

function guardedConnector(options: OutboundOptions): buildConnector.connector {
  const connect = buildConnector({ timeout: 10_000, lookup: guardedLookup(options) })
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '')
    const refusal = isIP(host) === 0 ? undefined : refusalOf(host, options)
    if (refusal !== undefined) {
      callback(blocked(host, refusal), null)
      return
    }
    connect(target, (error, socket) => {
      if (error !== null) {
        callback(error, null)
        return
      }
      const connected = refusalOf(socket.remoteAddress ?? '', options)
      if (connected === undefined) {
        callback(null, socket)
      } else {
        socket.destroy()
        callback(blocked(host, connected), null)
      }
    })
  }
}

/** Fails when any of a name's addresses is refused: which of them a socket takes is not ours to choose. */
function guardedLookup(options: OutboundOptions): LookupFunction {
  const lookup = options.lookup ?? systemLookup
  return (hostname, lookupOptions, callback) => {
    lookup(hostname, { ...lookupOptions, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, [])
        return
      }
      const all = Array.isArray(addresses) ? addresses : [{ address: addresses, family: isIP(addresses) }]
      const refusal = all.map(({ address }) => refusalOf(address, options)).find((reason) => reason !== undefined)
      const [first] = all
      if (refusal !== undefined || first === undefined) {
        callback(blocked(hostname, refusal ?? 'has no address'), [])
      } else if (lookupOptions.all === true) {
        callback(null, all)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }
}

function blocked(host: string, refusal: string): OutboundError {
  return new OutboundError('blocked', `${host} ${refusal}`)
}

function asOutboundError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  // A connector's own error comes back as it is; undici's and the system's all mean that there was no whole exchange.
  if (error instanceof OutboundError || !('code' in error)) return error
  if (error.code === 'UND_ERR_CONNECT_TIMEOUT') return new OutboundError('timeout', 'no connection within 10 s', error)
  return networkError(`${error.code}`, error)
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
