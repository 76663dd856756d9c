import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import type { Logger } from 'pino'
import { type Config, ConfigError } from '../config/config.ts'
import { FAL_HOSTS } from '../gateway/surface.ts'
import { certificateNames } from '../tls/certificate-names.ts'
import { type LocalCertificates, loadLocalCertificates } from '../tls/local-certificates.ts'

/** An HTTP or HTTPS server that answers with the gateway, not listening yet. */
export interface WebServer {
  readonly server: Server
  /** File with the certificate of the authority that clients must trust; absent without TLS. */
  readonly authorityFile?: string
  /**
   * @returns the URL it answers at, `https://127.0.0.1:3010`
   * @throws ConfigError when the port is taken, or the address is not this machine's
   */
  listen(): Promise<string>
  /** Takes no new connections. */
  close(closed?: () => void): void
}

type FetchCallback = Parameters<typeof getRequestListener>[0]
type WebServerConfig = Pick<Config, 'host' | 'port' | 'tls' | 'dataFolder' | 'publicUrl'>

/** Duplicate headers are joined, not dropped: a request with two hosts or keys then has none, and is refused. */
const HTTP_OPTIONS = { joinDuplicateHeaders: true, headersTimeout: 20_000, requestTimeout: 3_600_000 }
/** Seconds for which the sender of a body may pause. */
const STALL_SECONDS = 60
const RENEWAL_CHECK_MILLISECONDS = 24 * 3600 * 1000

export async function createWebServer(config: WebServerConfig, fetch: FetchCallback, log: Logger): Promise<WebServer> {
  const listener = getRequestListener(fetch)
  if (!config.tls) {
    const server = createHttpServer(HTTP_OPTIONS, listener)
    endStalledBodies(server, STALL_SECONDS)
    return { server, listen: () => listen(server, config), close: (closed) => server.close(closed) }
  }
  const certificates = await certificatesOf(config)
  const server = createHttpsServer({ ...certificates, ...HTTP_OPTIONS }, listener)
  endStalledBodies(server, STALL_SECONDS)
  const renewal = setInterval(() => {
    certificatesOf(config)
      .then((renewed) => server.setSecureContext(renewed))
      .catch((err) => log.error({ err }, 'looking after the certificate failed; trying again tomorrow'))
  }, RENEWAL_CHECK_MILLISECONDS).unref()
  return {
    server,
    authorityFile: certificates.authorityFile,
    listen: () => listen(server, config),
    close(closed) {
      clearInterval(renewal)
      server.close(closed)
    },
  }
}

function certificatesOf(config: WebServerConfig): Promise<LocalCertificates> {
  return loadLocalCertificates(join(config.dataFolder, 'tls'), certificateNames(FAL_HOSTS, config))
}

function listen(server: Server, { host, port, tls }: WebServerConfig): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenFailure(error, host, port)))
    server.listen(port, host, () => {
      const { port: bound } = server.address() as AddressInfo
      resolve(new URL(`${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${bound}`).origin)
    })
  })
}

function listenFailure(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const reason = LISTEN_FAILURES[error.code ?? '']
  if (reason === undefined) return error
  return new ConfigError(`Cannot listen on port ${port} of ${host}: ${reason}; choose another with --port or --host.`)
}

const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process does',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'there is no such host',
  EACCES: 'this user may not (ports below 1024 need a privilege)',
}

/**
 * Ends connections on which nothing moves while a request is still to come in, so that slow or silent senders hold none for long.
 * Node's own time limit is for the whole request, however steadily it comes: a large file on a slow line would run into it. A
 * connection that waits for its answer is left alone.
 */
export function endStalledBodies(server: Server, seconds: number): void {
  const requests = new WeakMap<Duplex, IncomingMessage>()
  server.on('request', (request) => requests.set(request.socket, request))
  server.setTimeout(seconds * 1000, (socket) => {
    if (requests.get(socket)?.complete !== true) socket.destroy()
  })
}
