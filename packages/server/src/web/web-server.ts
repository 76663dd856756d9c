import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { type Config, ConfigError } from '../config/config.ts'
import { FAL_HOSTS } from '../gateway/surface.ts'
import type { ProcessLog } from '../log/process-log.ts'
import { certificateNames } from '../tls/certificate-names.ts'
import { type LocalCertificates, loadLocalCertificates } from '../tls/local-certificates.ts'
import { oneRequestAtATime } from './pipelined-requests.ts'
import { requestsInTurn } from './requests-in-turn.ts'
import { cutSlowConnections } from './slow-connections.ts'

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
type WebServerConfig = Pick<Config, 'host' | 'port' | 'tls' | 'dataFolder' | 'publicUrl' | 'limits'>

/** Duplicate headers are joined, not dropped: a request with two hosts or keys then has none, and is refused. */
const HTTP_OPTIONS = {
  joinDuplicateHeaders: true,
  headersTimeout: 20_000,
  requestTimeout: 3_600_000,
  connectionsCheckingInterval: 5000,
}
/** Seconds that a slow sender or reader is watched before it is cut. */
const PACE_WINDOW_SECONDS = 30
/** Connections that may wait to be taken, as many as Linux allows: of Node's 511 one client's two thousand leave none for others. */
const BACKLOG = 4096
const RENEWAL_CHECK_MILLISECONDS = 24 * 3600 * 1000

export async function createWebServer(
  config: WebServerConfig,
  fetch: FetchCallback,
  log: ProcessLog,
): Promise<WebServer> {
  const listener = oneRequestAtATime(requestsInTurn(getRequestListener(fetch)))
  const pace = { leastBytesPerSecond: config.limits.leastBytesPerSecond, windowSeconds: PACE_WINDOW_SECONDS }
  if (!config.tls) {
    const server = createHttpServer(HTTP_OPTIONS, listener)
    const stopCutting = cutSlowConnections(server, pace)
    return {
      server,
      listen: () => listen(server, config),
      close(closed) {
        stopCutting()
        server.close(closed)
      },
    }
  }
  const certificates = await certificatesOf(config)
  const server = createHttpsServer({ ...certificates, ...HTTP_OPTIONS }, listener)
  const stopCutting = cutSlowConnections(server, pace)
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
      stopCutting()
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
    server.listen({ port, host, backlog: BACKLOG }, () => {
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
