import { OutboundError } from '../security/outbound-error.ts'
import type { OutboundHttp, OutboundResponse } from '../security/outbound-http.ts'
import { type FollowedRequest, redirectOf, sendFollowing } from './following-request.ts'
import type { ContentHash } from './growing-file-hash.ts'
import { ModelError } from './model-error.ts'
import { persist, RETRY_TIMING, type RetryTiming } from './persist.ts'
import type { RemoteFile } from './transfer.ts'
import { retryAfterSeconds, StatusError } from './transfer-error.ts'

export interface HubClientOptions {
  readonly http: OutboundHttp
  /** `https://huggingface.co`, or a mirror that speaks the same. */
  readonly endpoint: string
  /** Read for each call: people put a token in place while a server runs. */
  readonly token: () => Promise<string | undefined>
  /** Seconds for one answer about a repository or file. */
  readonly timeoutSeconds?: number
  readonly timing?: RetryTiming
}

/** A file of a repository's tree. */
export interface HubFile {
  /** Below the root, with `/`. */
  readonly path: string
  /** Bytes. */
  readonly size: number
}

/** A repository at one commit. */
export interface HubRepository {
  readonly repository: string
  readonly commit: string
  readonly files: readonly HubFile[]
  /** As its card names it; absent when it names none. */
  readonly license?: string
}

/** A file as it is to be fetched and kept. */
export interface HubFileSource extends RemoteFile {
  readonly commit: string
  /** Name of its blob in the cache. */
  readonly etag: string
  /** What its bytes must hash to; absent where the ETag is no hash. */
  readonly hash?: ContentHash
}

/** A hub that did not answer is not asked again for so long: requests that could do without would each wait for it. */
const AWAY_MILLISECONDS = 30_000
const MAX_JSON_BYTES = 64 * 1024 * 1024
const MAX_PAGES = 200

/**
 * Asks a hub about repositories and files.
 * Every call throws ModelError with a sentence, or the signal's reason.
 */
export class HubClient {
  readonly #options: HubClientOptions
  #away: { readonly until: number; readonly error: OutboundError } | undefined

  constructor(options: HubClientOptions) {
    this.#options = options
  }

  /** What a repository holds at a revision. */
  async repository(repository: string, revision: string, signal: AbortSignal): Promise<HubRepository> {
    const info = await this.#json(
      `/api/models/${repository}/revision/${encodeURIComponent(revision)}`,
      repository,
      revision,
      signal,
    )
    const commit = field(info.value, 'sha')
    if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit)) throw this.#strange(repository)
    const license = field(field(info.value, 'cardData'), 'license')
    const files = await this.#tree(repository, commit, signal)
    return { repository, commit, files, ...(typeof license === 'string' && { license }) }
  }

  /** Where a file is to be had, and what its bytes must be. */
  async file(repository: string, revision: string, path: string, signal: AbortSignal): Promise<HubFileSource> {
    const escaped = path.split('/').map(encodeURIComponent).join('/')
    const url = this.#url(`/${repository}/resolve/${encodeURIComponent(revision)}/${escaped}`)
    const what = { repository, revision, path }
    // A redirect to another host is where the bytes lie; the hub's own, of renamed repositories, are followed.
    const follows = (from: URL, to: URL) => from.origin === to.origin
    return this.#call({ url, method: 'HEAD', signal, follows }, what, async (response, answeredBy) => {
      const location = redirectOf(response, answeredBy)
      if (location === undefined) this.#assertFound(response, what)
      const { headers } = response
      const commit = headers['x-repo-commit']
      const etag = (headers['x-linked-etag'] ?? headers.etag)?.replace(/^W\//, '').replaceAll('"', '')
      if (commit === undefined || !/^[0-9a-f]{40}$/.test(commit) || !etag || /[/\\]|^\.+$/.test(etag))
        throw this.#strange(repository)
      const size = Number(headers['x-linked-size'] ?? (location === undefined ? headers['content-length'] : Number.NaN))
      const target = location ?? answeredBy
      const authorization = target.origin === url.origin ? await this.#authorization() : undefined
      return {
        url: target,
        acceptsRanges: true,
        commit,
        etag,
        ...hashOf(etag),
        ...(Number.isSafeInteger(size) && { size }),
        ...(authorization !== undefined && { authorization }),
      }
    })
  }

  /** A small JSON file of a repository, without keeping it. */
  async json(repository: string, commit: string, path: string, signal: AbortSignal): Promise<unknown> {
    const escaped = path.split('/').map(encodeURIComponent).join('/')
    return (await this.#json(`/${repository}/resolve/${commit}/${escaped}`, repository, commit, signal)).value
  }

  async #tree(repository: string, commit: string, signal: AbortSignal): Promise<HubFile[]> {
    const files: HubFile[] = []
    let next: string | undefined = `/api/models/${repository}/tree/${commit}?recursive=true`
    for (let page = 0; next !== undefined; page++) {
      if (page === MAX_PAGES) throw this.#strange(repository)
      const { value, link }: Page = await this.#json(next, repository, commit, signal)
      if (!Array.isArray(value)) throw this.#strange(repository)
      for (const entry of value) {
        const [type, path, size] = [field(entry, 'type'), field(entry, 'path'), field(entry, 'size')]
        if (type !== 'file') continue
        if (typeof path !== 'string' || typeof size !== 'number' || !isInside(path)) throw this.#strange(repository)
        files.push({ path, size })
      }
      const query = nextQuery(link)
      next = query === undefined ? undefined : `/api/models/${repository}/tree/${commit}${query}`
    }
    return files
  }

  async #json(path: string, repository: string, revision: string, signal: AbortSignal): Promise<Page> {
    const what = { repository, revision }
    return this.#call({ url: this.#url(path), method: 'GET', signal }, what, async (response) => {
      this.#assertFound(response, what)
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        size += chunk.byteLength
        if (size > MAX_JSON_BYTES) throw this.#strange(repository)
        chunks.push(chunk)
      }
      try {
        return { value: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown, link: response.headers.link }
      } catch {
        throw this.#strange(repository)
      }
    })
  }

  async #call<T>(
    request: Pick<FollowedRequest, 'url' | 'method' | 'signal' | 'follows'>,
    { repository }: Sought,
    receive: (response: OutboundResponse, url: URL) => Promise<T>,
  ): Promise<T> {
    const authorization = await this.#authorization()
    const timeoutSeconds = this.#options.timeoutSeconds ?? 20
    const whole = { ...request, timeoutSeconds, ...(authorization !== undefined && { authorization }) }
    const send = () => sendFollowing(this.#options.http, whole, receive)
    try {
      if (this.#away !== undefined && performance.now() < this.#away.until) throw this.#away.error
      return await persist(request.signal, this.#options.timing ?? RETRY_TIMING, send)
    } catch (error) {
      if (error instanceof StatusError) throw busy(error, repository)
      if (!(error instanceof OutboundError)) throw error
      if (error.code === 'network' || error.code === 'timeout') this.#noteAway(error)
      const hub = new URL(this.#options.endpoint).host
      const reason = error.code === 'blocked' ? 'blocked' : 'unreachable'
      const why = error.code === 'blocked' ? 'this server does not connect to that address' : error.message
      throw new ModelError(reason, `The hub ${hub} cannot be reached for ${repository} (${why}).`, error)
    }
  }

  #noteAway(error: OutboundError): void {
    if (this.#away?.error === error) return
    this.#away = { until: performance.now() + AWAY_MILLISECONDS, error }
  }

  async #authorization(): Promise<string | undefined> {
    const token = await this.#options.token()
    return token === undefined ? undefined : `Bearer ${token}`
  }

  #url(path: string): URL {
    return new URL(this.#options.endpoint.replace(/\/+$/, '') + path)
  }

  #assertFound({ status, headers }: OutboundResponse, { repository, revision, path }: Sought): void {
    if (status >= 200 && status < 300) return
    const code = headers['x-error-code']
    const page = `${this.#options.endpoint.replace(/\/+$/, '')}/${repository}`
    if (code === 'GatedRepo' || (status === 403 && code === undefined)) {
      throw new ModelError(
        'gated',
        `${repository} asks its users to accept its terms: accept them at ${page} and set HF_TOKEN of that account on the server.`,
      )
    }
    if (code === 'EntryNotFound')
      throw new ModelError('not-found', `${repository} has no file ${path ?? ''} at ${revision}.`)
    if (code === 'RevisionNotFound') throw new ModelError('not-found', `${repository} has no revision ${revision}.`)
    // The hub answers 401 for what is not there as well: who may not see a repository is not told that it exists.
    if (status === 401 || status === 404 || code === 'RepoNotFound') {
      throw new ModelError(
        'not-found',
        `There is no ${path === undefined ? 'model' : `file ${path} in`} ${repository} on the hub, or it is private: check the name, or set HF_TOKEN on the server.`,
      )
    }
    throw new StatusError(status, retryAfterSeconds(headers['retry-after'], new Date()))
  }

  #strange(repository: string): ModelError {
    const host = new URL(this.#options.endpoint).host
    return new ModelError('unreachable', `${host} does not answer like a hub for ${repository}; check HF_ENDPOINT.`)
  }
}

function busy({ status, retryAfter }: StatusError, repository: string): ModelError {
  if (status !== 429)
    return new ModelError('unreachable', `The hub answers ${status} for ${repository}; try again later.`)
  const when = retryAfter === undefined ? 'later' : `in ${retryAfter} s`
  return new ModelError('rate-limited', `The hub answers too many requests; try again ${when}.`)
}

interface Sought {
  readonly repository: string
  readonly revision: string
  readonly path?: string
}

interface Page {
  readonly value: unknown
  readonly link: string | undefined
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

/** Whether a path of a listing stays inside its repository: it becomes one of this disk. */
function isInside(path: string): boolean {
  return !/[\\\0:]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

/** The query of RFC 8288's `rel="next"`; its path is that of the page before. */
function nextQuery(link: string | undefined): string | undefined {
  const url = /<([^<>]+)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1]
  return url !== undefined && URL.canParse(url, 'http://h') ? new URL(url, 'http://h').search : undefined
}

function hashOf(etag: string): { hash?: ContentHash } {
  if (/^[0-9a-f]{64}$/.test(etag)) return { hash: { algorithm: 'sha256', value: etag } }
  if (/^[0-9a-f]{40}$/.test(etag)) return { hash: { algorithm: 'git-sha1', value: etag } }
  return {}
}
