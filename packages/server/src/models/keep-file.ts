import { createHash } from 'node:crypto'
import { decodeDataUri } from '../security/data-uri.ts'
import { ModelError } from './model-error.ts'
import { toModelError } from './transfer-error.ts'
import type { KeptFile, UrlDownloads } from './url-downloads.ts'

/** A file of this server: why it is not given, or its bytes, which are the same for one key for ever. */
export type OpenedOwnFile =
  | { readonly refusal: 'missing' | 'forbidden' | 'too_large' }
  | { readonly key: string; readonly body: ReadableStream<Uint8Array> }

/** Opens a URL of this server without going through the network; undefined for the URLs of others. */
export type OwnFileOpener = (url: string, maxBytes: number) => Promise<OpenedOwnFile | undefined>

/**
 * Copies a file that was uploaded to this server to where weights are kept: readers need it as a file of this disk.
 * @returns undefined when the URL is for the network
 */
export async function keepOwnFile(
  urls: UrlDownloads,
  openOwnFile: OwnFileOpener,
  url: string,
  label: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<KeptFile | undefined> {
  const own = await openOwnFile(url, maxBytes)
  if (own === undefined) return undefined
  if ('refusal' in own) {
    if (own.refusal === 'too_large')
      throw new ModelError('too-large', `${label} is larger than what this server takes as weights.`)
    throw new ModelError('not-found', `This server has no such file as ${label}: it may have expired.`)
  }
  const { key, body } = own
  let isRead = false
  const open = async () => {
    isRead = true
    return body
  }
  try {
    return await urls.keep(`own:${key}`, 'weights', label, open, signal)
  } finally {
    if (!isRead) await body.cancel()
  }
}

/** Puts the bytes of a `data:` URI where weights are kept, once for the same bytes. */
export async function keepDataUri(
  urls: UrlDownloads,
  uri: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<KeptFile> {
  const bytes = decoded(uri, maxBytes)
  const hash = createHash('sha256').update(bytes).digest('hex')
  async function* once() {
    yield bytes
  }
  return urls.keep(`data:${hash}`, 'weights', 'the data: URI', async () => once(), signal)
}

function decoded(uri: string, maxBytes: number): Uint8Array {
  try {
    return decodeDataUri(uri, maxBytes).bytes
  } catch (error) {
    throw toModelError(error, 'the data: URI')
  }
}
