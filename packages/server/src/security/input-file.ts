import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorPage, type FieldErrorItem, WireError } from '../errors/errors.ts'
import { PRIVATE_TARGETS_SETTING } from './address-policy.ts'
import { type FetchLimits, fetchableUrl, fetchBytes, isDataUri } from './fetch-bytes.ts'
import { networkError, OutboundError, type OutboundErrorCode } from './outbound-error.ts'
import type { OutboundHttp } from './outbound-http.ts'

/** What the store says of a URL: bytes of a file of this server, why it gives none, or that it is none of its files. */
export type OwnFile = Uint8Array | { readonly refusal: 'missing' | 'forbidden' | 'too_large' } | undefined

export interface InputFileSource {
  readonly outbound: OutboundHttp
  /** Runs a fetch from a host when that may be done. */
  readonly inTurn: <T>(host: string, fetch: () => Promise<T>) => Promise<T>
  /** Reads a file of this server without going through the network. */
  readonly readOwnFile: (url: string, maxBytes: number) => Promise<OwnFile>
}

export interface InputFileLimits extends FetchLimits {
  /** Path of the field below the body, for the error: `['image_url']`. */
  readonly field: readonly (string | number)[]
}

/** fal's limit for pictures. */
export const MAX_IMAGE_BYTES = 50 * 1024 * 1024

/** Declared types that can be a picture: the rest is mostly a page about one. Servers without a clue say octet-stream. */
export function mayBeImage(contentType: string): boolean {
  return contentType.startsWith('image/') || /^(application|binary)\/(octet-stream|x-binary)$/.test(contentType)
}

/**
 * Bytes of an input file: a file of this server, an http(s) URL or a `data:` URI.
 * @throws WireError 422 `file_download_error`, `file_too_large` or `image_load_error` naming the field
 */
export async function readInputFile(
  source: InputFileSource,
  url: string,
  limits: InputFileLimits,
): Promise<Uint8Array> {
  try {
    const own = await source.readOwnFile(url, limits.maxBytes)
    if (own instanceof Uint8Array) return own
    if (own?.refusal === 'too_large') throw new OutboundError('too_large', `it has more than ${limits.maxBytes} bytes`)
    if (own !== undefined) throw new OutboundError('status', 'this server has no such file: it may have expired')
    const fetch = async () => (await fetchBytes(source.outbound, url, limits)).bytes
    return await (isDataUri(url) ? fetch() : source.inTurn(fetchableUrl(url).hostname, fetch))
  } catch (error) {
    throw error instanceof OutboundError ? inputFileError(error, url, limits) : error
  }
}

/** Finds a host's address; rejects with the code ENOTFOUND where there is no such host. */
export type FindHost = (host: string) => Promise<unknown>

/** Milliseconds that a name may take to be found; one that takes longer is left to whoever fetches. */
const LOOKUP_MILLISECONDS = 1000

/**
 * Refuses at once what `readInputFile` would refuse later: a URL of a scheme that is not fetched, or a host that has no address.
 * @throws WireError 422 `file_download_error` naming the field
 */
export async function refuseUnfetchable(
  url: string,
  field: InputFileLimits['field'],
  find: FindHost = lookup,
): Promise<void> {
  if (isDataUri(url)) return
  try {
    const { hostname } = fetchableUrl(url)
    if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return
    const patience = sleep(LOOKUP_MILLISECONDS, undefined, { ref: false })
    await Promise.race([find(hostname).catch(refuseUnknownHost), patience])
  } catch (error) {
    throw error instanceof OutboundError ? inputFileError(error, url, { field, maxBytes: MAX_IMAGE_BYTES }) : error
  }
}

/** Only a name that there is not is told; a resolver that is away may answer the next time. */
function refuseUnknownHost(error: unknown): void {
  if (error instanceof Error && 'code' in error && error.code === 'ENOTFOUND') {
    throw networkError(error.code, error)
  }
}

const TYPES: Partial<Record<OutboundErrorCode, string>> = { too_large: 'file_too_large', type: 'image_load_error' }

function inputFileError(
  error: OutboundError,
  url: string,
  limits: Pick<InputFileLimits, 'field' | 'maxBytes'>,
): WireError {
  const type = TYPES[error.code] ?? 'file_download_error'
  const item: FieldErrorItem = {
    loc: ['body', ...limits.field],
    msg: `${MESSAGES[type]} (${error.code === 'blocked' ? BLOCKED : error.message})`,
    type,
    url: errorPage(type),
    ...(error.code === 'too_large' && { ctx: { max_size: limits.maxBytes } }),
    input: url.length > 500 ? `${url.slice(0, 100)}…` : url,
  }
  return new WireError(422, [item], { headers: { 'x-fal-billable-units': '0' }, cause: error })
}

/** What a name resolves to inside this network is not the caller's to know. */
const BLOCKED = `the URL leads to an address that this server does not fetch from; its operator can allow private networks with ${PRIVATE_TARGETS_SETTING}`

const MESSAGES: Readonly<Record<string, string>> = {
  file_download_error: 'Failed to download the file. Please check if the URL is accessible and try again.',
  file_too_large: 'The file is too large.',
  image_load_error: 'Failed to load the image. Please check that it is a picture in a supported format.',
}
