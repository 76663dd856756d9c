import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A repository that the hub serves, at one commit. */
export interface FakeRepository {
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly license?: string
  /** Only with the token, after accepting terms. */
  readonly gated?: boolean
  /** Not there without the token. */
  readonly isPrivate?: boolean
}

/** What goes wrong on the host that holds the bytes; each is asked once per request. */
export interface FakeFaults {
  /** Bytes after which the connection of this request breaks. */
  cutAfter?: (request: RecordedRequest) => number | undefined
  /** A status to answer with instead. */
  status?: (request: RecordedRequest) => { status: number; retryAfter?: string } | undefined
  /** Whether this answer stops without an end, and without breaking. */
  stalls?: (request: RecordedRequest) => boolean
  /** Changes the bytes of a file. */
  alter?: (bytes: Uint8Array) => Uint8Array
  ignoresRanges?: boolean
  /** Resolves when the answer may begin. */
  delay?: (request: RecordedRequest) => Promise<void>
}

export interface RecordedRequest {
  readonly host: 'hub' | 'bytes'
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

export const FAKE_TOKEN = 'hf_token_of_the_tests'
const TREE_PAGE = 4
/** Signed addresses of this many uses are refused after them. */
const FOREVER = Number.POSITIVE_INFINITY

/**
 * A model hub as far as clients use one: repositories, trees in pages, files; weights by a redirect to another host, where they are
 * served by range under a signed address. Everything that is asked is recorded.
 */
export class FakeHub {
  readonly repositories = new Map<string, FakeRepository>()
  readonly requests: RecordedRequest[] = []
  faults: FakeFaults = {}
  /** Answers of the hub itself, in place of its own; one is used up by each request. */
  readonly hubFailures: { status: number; retryAfter?: string }[] = []
  /** How often one signed address may be used. */
  signatureUses = FOREVER
  servedBytes = 0
  readonly #hub: Server
  readonly #bytes: Server
  readonly #uses = new Map<string, number>()
  #signatures = 0

  constructor() {
    this.#hub = createServer((request, response) => this.#answerHub(request, response))
    this.#bytes = createServer((request, response) => void this.#answerBytes(request, response))
  }

  async listen(): Promise<this> {
    this.#hub.listen(0, '127.0.0.1')
    this.#bytes.listen(0, '127.0.0.1')
    await Promise.all([once(this.#hub, 'listening'), once(this.#bytes, 'listening')])
    return this
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`
  }

  get bytesOrigin(): string {
    return `http://127.0.0.1:${(this.#bytes.address() as AddressInfo).port}`
  }

  add(
    name: string,
    files: Readonly<Record<string, Uint8Array | string>>,
    options: Omit<FakeRepository, 'files'> = {},
  ): void {
    const entries = Object.entries(files).map(([path, content]): [string, Uint8Array] => [path, Buffer.from(content)])
    this.repositories.set(name, { ...options, files: new Map(entries) })
  }

  /** The commit that `main` of a repository is at: it changes with what the repository holds. */
  commitOf(name: string): string {
    const hash = createHash('sha1').update(name)
    for (const [path, bytes] of this.repositories.get(name)?.files ?? []) hash.update(path).update(sha256(bytes))
    return hash.digest('hex')
  }

  /** Forgets what was asked and what was to go wrong. */
  reset(): void {
    this.requests.length = 0
    this.hubFailures.length = 0
    this.faults = {}
    this.signatureUses = FOREVER
    this.servedBytes = 0
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#bytes]) {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    }
  }

  #record(host: 'hub' | 'bytes', request: IncomingMessage): RecordedRequest {
    const { range, authorization } = request.headers
    const recorded = { host, method: request.method ?? '', path: request.url ?? '', range, authorization }
    this.requests.push(recorded)
    return recorded
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const { authorization } = this.#record('hub', request)
    const failure = this.hubFailures.shift()
    if (failure !== undefined) {
      sendStatus(response, failure)
      return
    }
    const url = new URL(request.url ?? '', this.endpoint)
    const path = decodeURIComponent(url.pathname)
    const api = /^\/api\/models\/([^/]+\/[^/]+)(?:\/(revision|tree)\/(.+))?$/.exec(path)
    const file = /^\/([^/]+\/[^/]+)\/resolve\/(refs\/pr\/\d+|[^/]+)\/(.+)$/.exec(path)
    const name = api?.[1] ?? file?.[1] ?? ''
    const repository = this.repositories.get(name)
    const isKnown = authorization === `Bearer ${FAKE_TOKEN}`
    if (repository === undefined || (repository.isPrivate && !isKnown)) {
      refuse(response, isKnown ? 404 : 401, 'RepoNotFound')
      return
    }
    const revision = api?.[3] ?? file?.[2] ?? 'main'
    const commit = this.commitOf(name)
    if (revision !== 'main' && revision !== commit) {
      refuse(response, 404, 'RevisionNotFound')
      return
    }
    // A gated repository shows what it has; its files are for those who accepted.
    if (file !== null && repository.gated && !isKnown) {
      refuse(response, 401, 'GatedRepo')
      return
    }
    if (api?.[2] === 'tree') {
      this.#sendTree(response, repository, url)
      return
    }
    if (api !== null) {
      const cardData = { license: repository.license }
      sendJson(response, { id: name, sha: commit, gated: repository.gated === true, cardData })
      return
    }
    this.#sendFile(request, response, repository, file?.[3] ?? '', commit)
  }

  #sendTree(response: ServerResponse, { files }: FakeRepository, url: URL): void {
    const from = Number(url.searchParams.get('cursor') ?? 0)
    const all = [...files].map(([path, bytes]) => ({
      type: 'file',
      path,
      size: bytes.byteLength,
      oid: gitSha1(bytes),
      ...(isLarge(path) && { lfs: { oid: sha256(bytes), size: bytes.byteLength, pointerSize: 134 } }),
    }))
    if (from + TREE_PAGE < all.length) {
      url.searchParams.set('cursor', String(from + TREE_PAGE))
      response.setHeader('link', `<${url.href}>; rel="next"`)
    }
    sendJson(response, all.slice(from, from + TREE_PAGE))
  }

  #sendFile(
    request: IncomingMessage,
    response: ServerResponse,
    repository: FakeRepository,
    path: string,
    commit: string,
  ): void {
    response.setHeader('x-repo-commit', commit)
    const bytes = repository.files.get(path)
    if (bytes === undefined) {
      refuse(response, 404, 'EntryNotFound')
      return
    }
    if (!isLarge(path)) {
      response.setHeader('etag', `"${gitSha1(bytes)}"`)
      this.#sendBytes(request, response, bytes)
      return
    }
    response.setHeader('x-linked-etag', `"${sha256(bytes)}"`)
    response.setHeader('x-linked-size', bytes.byteLength)
    this.#signatures += 1
    const location = `${this.bytesOrigin}/${sha256(bytes)}?signature=${this.#signatures}`
    response.writeHead(302, { location, 'content-length': 0 }).end()
  }

  async #answerBytes(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recorded = this.#record('bytes', request)
    await this.faults.delay?.(recorded)
    const failure = this.faults.status?.(recorded)
    if (failure !== undefined) {
      sendStatus(response, failure)
      return
    }
    const url = new URL(request.url ?? '', this.bytesOrigin)
    const uses = (this.#uses.get(url.search) ?? 0) + 1
    this.#uses.set(url.search, uses)
    if (uses > this.signatureUses) {
      sendStatus(response, { status: 403 })
      return
    }
    const wanted = url.pathname.slice(1)
    for (const { files } of this.repositories.values()) {
      for (const bytes of files.values()) {
        if (sha256(bytes) !== wanted) continue
        response.setHeader('etag', `"${wanted}"`)
        return this.#sendBytes(request, response, this.faults.alter?.(bytes) ?? bytes, recorded)
      }
    }
    sendStatus(response, { status: 404 })
  }

  #sendBytes(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, recorded?: RecordedRequest): void {
    const asked = this.faults.ignoresRanges ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const from = Number(asked?.[1] ?? 0)
    const to = Math.min(bytes.byteLength, asked?.[2] ? Number(asked[2]) + 1 : bytes.byteLength)
    if (asked !== null && from >= bytes.byteLength) {
      sendStatus(response, { status: 416 })
      return
    }
    const part = bytes.subarray(from, to)
    response.setHeader('content-length', part.byteLength)
    response.setHeader('accept-ranges', 'bytes')
    if (asked !== null) response.setHeader('content-range', `bytes ${from}-${to - 1}/${bytes.byteLength}`)
    response.writeHead(asked === null ? 200 : 206)
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    const cut = recorded === undefined ? undefined : this.faults.cutAfter?.(recorded)
    const sent = cut === undefined ? part : part.subarray(0, cut)
    this.servedBytes += sent.byteLength
    if (recorded !== undefined && this.faults.stalls?.(recorded)) {
      response.write(sent.subarray(0, sent.length >> 1))
      return
    }
    if (sent.byteLength === part.byteLength) response.end(part)
    else response.write(sent, () => response.destroy())
  }
}

function isLarge(path: string): boolean {
  return /\.(safetensors|bin|ckpt|pt|onnx)$/.test(path)
}

const SHA256S = new WeakMap<Uint8Array, string>()

/** Remembered: each request for a file asks for it, and files are large. */
function sha256(bytes: Uint8Array): string {
  const known = SHA256S.get(bytes) ?? createHash('sha256').update(bytes).digest('hex')
  SHA256S.set(bytes, known)
  return known
}

function gitSha1(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex')
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function sendStatus(response: ServerResponse, { status, retryAfter }: { status: number; retryAfter?: string }): void {
  response
    .writeHead(status, { 'content-length': 0, ...(retryAfter !== undefined && { 'retry-after': retryAfter }) })
    .end()
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'x-error-code': code, 'content-length': 0 }).end()
}
