import { decide, type FileReader } from './lifecycle.ts'
import type { ObjectStore } from './object-store.ts'

/** The path that `newFileKey` makes, below whatever prefix. */
const OWN_PATH = /\/(files\/[0-9a-f]{2}\/[0-9a-f]{30}_[A-Za-z0-9._-]+)$/

export interface OwnFileReader extends FileReader {
  /** Base URL by which the caller reaches files. */
  readonly filesUrl: string
  /** Whether the URL is signed for the file of this key, which lets anyone read it. */
  isSigned?(url: URL, key: string): boolean
}

/** Key of the file that a URL names, if it has the form of this server's. */
export function fileKeyOf(url: string): string | undefined {
  // A data: URI of many megabytes is not worth parsing.
  const parsed = /^\s*https?:/i.test(url) && URL.canParse(url) ? new URL(url) : undefined
  return OWN_PATH.exec(parsed?.pathname ?? '')?.[1]
}

/** Why a file of this server is not given, or the file. Whoever opens it reads its body or cancels it. */
export type OwnFile =
  | { readonly refusal: 'missing' | 'forbidden' | 'too_large' }
  | { readonly key: string; readonly body: ReadableStream<Uint8Array> }

/**
 * Opens a URL that names a file of this server from the store, by whichever origin, host name or prefix it is named: a
 * key is 128 random bits, so a URL that ends in one we have means our file.
 * @returns `undefined` when the URL is for the network
 */
export async function openOwnFile(
  store: ObjectStore,
  url: string,
  maxBytes: number,
  reader: OwnFileReader,
): Promise<OwnFile | undefined> {
  const key = fileKeyOf(url)
  const object = key === undefined ? undefined : await store.get(key)
  if (object === undefined) return isBelow(url, reader.filesUrl) ? { refusal: 'missing' } : undefined
  const { info, body } = object
  const readable = decide(info, reader) === 'allow' || reader.isSigned?.(new URL(url), info.key) === true
  const refusal = info.size > maxBytes ? 'too_large' : readable ? undefined : 'forbidden'
  if (refusal === undefined) return { key: info.key, body }
  await body.cancel()
  return { refusal }
}

/** The bytes of a URL that `openOwnFile` opens. */
export async function readOwnFile(
  store: ObjectStore,
  url: string,
  maxBytes: number,
  reader: OwnFileReader,
): Promise<Uint8Array | { readonly refusal: 'missing' | 'forbidden' | 'too_large' } | undefined> {
  const own = await openOwnFile(store, url, maxBytes, reader)
  return own !== undefined && 'body' in own ? new Uint8Array(await new Response(own.body).arrayBuffer()) : own
}

function isBelow(url: string, filesUrl: string): boolean {
  if (!/^\s*https?:/i.test(url) || !URL.canParse(url)) return false
  return new URL(url).href.startsWith(`${new URL(filesUrl).href.replace(/\/+$/, '')}/files/`)
}
