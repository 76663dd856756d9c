import { ModelError } from './model-error.ts'

/** What a text names, by its form alone; nothing is looked up. */
export type ModelReference = HubReference | CivitaiReference | UrlReference | DataReference | PathReference

/** A model repository, or a file or folder in one. */
export interface HubReference {
  readonly type: 'hub'
  /** `owner/name` */
  readonly repository: string
  /** Branch, tag or commit; absent: `main`. */
  readonly revision?: string
  /** Below the repository's root, with `/`; a file or a folder. */
  readonly path?: string
}

/** A model version on Civitai, or a model of which the newest version is meant. */
export interface CivitaiReference {
  readonly type: 'civitai'
  readonly origin: string
  readonly modelId?: string
  readonly versionId?: string
  /** Asks for one of a version's files: `type`, `format`, `size`, `fp`. */
  readonly query?: string
}

export interface UrlReference {
  readonly type: 'url'
  readonly url: URL
}

export interface DataReference {
  readonly type: 'data'
  readonly uri: string
}

/** A path of this machine: relative to the models folder, or absolute. */
export interface PathReference {
  readonly type: 'path'
  readonly path: string
}

const HUB_HOSTS: readonly string[] = ['huggingface.co', 'www.huggingface.co', 'hf.co', 'hub-ci.huggingface.co']
const CIVITAI_HOSTS: readonly string[] = ['civitai.com', 'www.civitai.com', 'civitai.green', 'civitai.red']

/** What may stand where an owner does in a hub page's address, and is none. */
const NO_OWNERS: readonly string[] = ['datasets', 'spaces', 'api', 'docs', 'models', 'papers', 'collections', 'kernels']

/** Characters; signed URLs of object stores have a tenth of it. */
const LONGEST_REFERENCE = 16_384

/** `owner` or `name`: huggingface_hub's `validate_repo_id`. */
const ID_PART = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/

/** Ids of what was taken down or renamed, and where it lives on. */
const MOVED: Readonly<Record<string, string>> = {
  'runwayml/stable-diffusion-v1-5': 'stable-diffusion-v1-5/stable-diffusion-v1-5',
  'runwayml/stable-diffusion-inpainting': 'stable-diffusion-v1-5/stable-diffusion-inpainting',
}

/** Where a repository lives today; itself when it has not moved. */
export function movedTo(repository: string): string {
  return MOVED[repository] ?? repository
}

/**
 * Reads a weights reference: `owner/name[@revision][/path]`, `hf://…`, a hub, Civitai or other URL, a `data:` URI or a path.
 * @param hubEndpoint the hub in use; pages of it are hub references like the public hub's
 * @throws ModelError `invalid-reference`
 */
export function parseReference(text: string, hubEndpoint: string): ModelReference {
  if (text.length > LONGEST_REFERENCE && !/^\s{0,9}data:/i.test(text)) {
    throw invalid(`${text.slice(0, 40)}…`, `it is longer than ${LONGEST_REFERENCE} characters`)
  }
  const trimmed = text.trim()
  if (trimmed === '') throw invalid(text, 'it is empty')
  if (hasControlCharacter(trimmed)) throw invalid(text, 'it has control characters')
  if (/^data:/i.test(trimmed)) return { type: 'data', uri: trimmed }
  if (/^hf:\/\//i.test(trimmed)) return hubId(trimmed.slice('hf://'.length), text)
  if (/^https?:/i.test(trimmed)) return parseUrl(trimmed, hubEndpoint)
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)) throw invalid(text, 'only http:, https:, hf: and data: are fetched')
  if (/^([/\\~.]|[A-Za-z]:[\\/])/.test(trimmed)) return { type: 'path', path: trimmed }
  const [owner = '', name = ''] = trimmed.split('/')
  const looksLikeId = ID_PART.test(owner) && ID_PART.test(name.split('@')[0] ?? '')
  return looksLikeId ? hubId(trimmed, text) : { type: 'path', path: trimmed }
}

/** How a reference is named in logs and errors: no query (it may hold a token), no data. */
export function labelOf(reference: ModelReference): string {
  switch (reference.type) {
    case 'hub': {
      const { repository, revision, path } = reference
      return `${repository}${revision === undefined ? '' : `@${revision}`}${path === undefined ? '' : `/${path}`}`
    }
    case 'civitai':
      return reference.versionId === undefined
        ? `Civitai model ${reference.modelId}`
        : `Civitai model version ${reference.versionId}`
    case 'url':
      return `${reference.url.origin}${reference.url.pathname}`
    case 'data':
      return 'the data: URI'
    case 'path':
      return reference.path
  }
}

function parseUrl(text: string, hubEndpoint: string): ModelReference {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid(text, 'it is not a URL')
  if (url.username !== '' || url.password !== '')
    throw invalid(url.host, 'a URL must not carry a user name or password')
  url.hash = ''
  const endpoint = new URL(hubEndpoint)
  const segments = url.pathname.split('/').filter((segment) => segment !== '')
  if (url.host === endpoint.host || HUB_HOSTS.includes(url.host)) return hubPage(segments, url)
  return (CIVITAI_HOSTS.includes(url.host) ? civitaiPage(segments, url) : undefined) ?? { type: 'url', url }
}

const VIEWS: readonly string[] = ['resolve', 'blob', 'raw', 'tree']

/** `/owner/name`, `/owner/name/{resolve,blob,raw,tree}/revision[/path]`; other pages of the hub are plain URLs. */
function hubPage(segments: readonly string[], url: URL): ModelReference {
  const decoded = segments.map((segment) => decode(segment, url))
  const [owner = '', name = '', view, ...rest] = decoded
  if (NO_OWNERS.includes(owner) || !ID_PART.test(owner) || !ID_PART.test(name)) return { type: 'url', url }
  const repository = `${owner}/${name}`
  if (view === undefined) return { type: 'hub', repository }
  const { revision, path } = splitRevision(rest)
  if (!VIEWS.includes(view) || revision === undefined) return { type: 'url', url }
  return hubReference(repository, revision, path, url.host + url.pathname)
}

function civitaiPage(segments: readonly string[], url: URL): ModelReference | undefined {
  const path = segments.join('/')
  const download = /^api\/download\/models\/(\d+)$/.exec(path)?.[1]
  const page = /^models\/(\d+)(?:\/|$)/.exec(path)?.[1]
  const asked = new URLSearchParams(url.search)
  const version = download ?? asked.get('modelVersionId') ?? undefined
  if (download === undefined && page === undefined) return undefined
  if (version !== undefined && !/^\d+$/.test(version))
    throw invalid(url.host + url.pathname, 'its version is no number')
  const query = new URLSearchParams()
  for (const name of ['type', 'format', 'size', 'fp']) {
    const value = asked.get(name)
    if (value !== null) query.set(name, value)
  }
  return {
    type: 'civitai',
    // A token goes there: never in the clear.
    origin: `https://${url.host}`,
    ...(page !== undefined && { modelId: page }),
    ...(version !== undefined && { versionId: version }),
    ...(download !== undefined && query.size > 0 && { query: query.toString() }),
  }
}

function hubId(text: string, original: string): HubReference {
  const [owner = '', second = '', ...rest] = text.split('/')
  const at = second.indexOf('@')
  const name = at < 0 ? second : second.slice(0, at)
  if (!ID_PART.test(owner) || !ID_PART.test(name)) throw invalid(original, 'a hub id has the form owner/name')
  const { revision, path } =
    at < 0 ? { revision: undefined, path: rest } : splitRevision([second.slice(at + 1), ...rest])
  if (revision === '') throw invalid(original, 'nothing follows the @')
  return hubReference(`${owner}/${name}`, revision, path, original)
}

/** A revision is one segment, or `refs/pr/1` and its like. */
function splitRevision(segments: readonly string[]): { revision?: string | undefined; path: readonly string[] } {
  const length = segments[0] === 'refs' && segments.length >= 3 ? 3 : 1
  const revision = segments.slice(0, length).join('/')
  return { revision: segments.length === 0 ? undefined : revision, path: segments.slice(length) }
}

function hubReference(
  repository: string,
  revision: string | undefined,
  path: readonly string[],
  original: string,
): HubReference {
  const parts = path.at(-1) === '' ? path.slice(0, -1) : path
  const isSafe = (part: string) =>
    part !== '' && part !== '.' && part !== '..' && !part.includes('\\') && !part.includes(':')
  if (!parts.every(isSafe)) throw invalid(original, 'its path must stay inside the repository')
  if (revision !== undefined && !revision.split('/').every(isSafe))
    throw invalid(original, 'its revision is no revision')
  return {
    type: 'hub',
    repository,
    ...(revision !== undefined && revision !== 'main' && { revision }),
    ...(parts.length > 0 && { path: parts.join('/') }),
  }
}

function decode(segment: string, url: URL): string {
  try {
    const decoded = decodeURIComponent(segment)
    if (hasControlCharacter(decoded)) throw invalid(url.host, 'it has control characters')
    return decoded
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    throw invalid(url.host + url.pathname, 'its percent signs are no escapes')
  }
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20 || text.charCodeAt(i) === 0x7f) return true
  return false
}

function invalid(text: string, why: string): ModelError {
  const shown = text.length > 120 ? `${text.slice(0, 100)}…` : text
  return new ModelError(
    'invalid-reference',
    `${JSON.stringify(shown)} names no weights: ${why}; expected owner/name, owner/name/file.safetensors or an https URL.`,
  )
}
