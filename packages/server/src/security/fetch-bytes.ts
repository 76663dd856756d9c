import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { decodeDataUri } from './data-uri.ts'
import { OutboundError } from './outbound-error.ts'
import { assertFetchable, type OutboundHttp, type OutboundResponse } from './outbound-http.ts'

export interface FetchLimits {
  /** Bytes after any content encoding is undone. */
  readonly maxBytes: number
  /** Seconds for all of it, redirects included. */
  readonly timeoutSeconds: number
  /** Whether a declared content type may be what is wanted; the media type alone, lower case. */
  readonly accepts?: (contentType: string) => boolean
  readonly signal?: AbortSignal
}

export interface FetchedBytes {
  readonly bytes: Uint8Array
  /** As declared by the server or the URI; absent when it declared none. */
  readonly contentType?: string
}

/** Characters of a URL; signed ones of object stores have a tenth of it. */
const LONGEST_URL = 16_384

const MAX_REDIRECTS = 5
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308]

/**
 * Bytes behind an `http:`, `https:` or `data:` URL of a user. Redirects are followed up to five times, each target
 * checked like the first.
 * @throws OutboundError
 */
export async function fetchBytes(outbound: OutboundHttp, url: string, limits: FetchLimits): Promise<FetchedBytes> {
  if (isDataUri(url)) {
    const decoded = decodeDataUri(url.trim(), limits.maxBytes)
    assertAccepted(decoded.contentType, limits)
    return decoded
  }
  const deadline = Date.now() + limits.timeoutSeconds * 1000
  let target = parseUrl(url)
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const timeoutSeconds = Math.max(0.001, (deadline - Date.now()) / 1000)
    const request = {
      url: target,
      method: 'GET' as const,
      headers: { accept: '*/*', 'accept-encoding': 'identity' },
      timeoutSeconds,
      ...(limits.signal !== undefined && { signal: limits.signal }),
    }
    const answer = await outbound.send(request, (response) => receive(response, target, limits))
    if (!(answer instanceof URL)) return answer
    target = answer
  }
  throw new OutboundError('redirects', `more than ${MAX_REDIRECTS} redirects`)
}

export function isDataUri(url: string): boolean {
  return /^\s*data:/i.test(url)
}

async function receive(response: OutboundResponse, url: URL, limits: FetchLimits): Promise<FetchedBytes | URL> {
  const { status, headers } = response
  if (REDIRECTS.includes(status) && headers.location !== undefined) return parseUrl(headers.location, url)
  if (status < 200 || status > 299) throw new OutboundError('status', `the server answered ${status}`)
  const contentType = headers['content-type']
  assertAccepted(contentType, limits)
  if (Number(headers['content-length'] ?? 0) > limits.maxBytes) throw tooLarge(limits)
  const bytes = await collect(decoded(response), limits)
  return contentType === undefined ? { bytes } : { bytes, contentType }
}

function assertAccepted(contentType: string | undefined, { accepts }: FetchLimits): void {
  const mediaType = contentType?.split(';')[0]?.trim().toLowerCase()
  if (mediaType === undefined || accepts === undefined || accepts(mediaType)) return
  throw new OutboundError('type', `its content type is ${mediaType}`)
}

/** `identity` was asked for, but some servers have nothing else than what they stored compressed. */
function decoded({ headers, body }: OutboundResponse): Readable {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  switch (encoding) {
    case 'identity':
      return body
    case 'gzip':
    case 'x-gzip':
      return piped(body, createGunzip())
    case 'deflate':
      return piped(body, createInflate())
    case 'br':
      return piped(body, createBrotliDecompress())
    default:
      throw new OutboundError('type', `its content encoding is ${encoding}`)
  }
}

function piped(body: Readable, decoder: ReturnType<typeof createGunzip>): Readable {
  body.once('error', (error) => decoder.destroy(error))
  decoder.once('close', () => body.destroy())
  return body.pipe(decoder)
}

async function collect(body: Readable, limits: FetchLimits): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > limits.maxBytes) throw tooLarge(limits)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** @throws OutboundError for text that is no URL, or one that is not fetched */
export function fetchableUrl(text: string): URL {
  const url = parseUrl(text)
  assertFetchable(url)
  return url
}

function parseUrl(text: string, base?: URL): URL {
  if (text.length > LONGEST_URL) throw new OutboundError('invalid_url', `it is longer than ${LONGEST_URL} characters`)
  const trimmed = text.trim()
  if (URL.canParse(trimmed, base?.href)) return new URL(trimmed, base)
  throw new OutboundError('invalid_url', 'it is not a URL')
}

function tooLarge({ maxBytes }: FetchLimits): OutboundError {
  return new OutboundError('too_large', `it has more than ${maxBytes} bytes`)
}
