import { randomBytes } from 'node:crypto'
import { type Lifecycle, putOptions } from './lifecycle.ts'
import { newFileKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'

/** The fields of a stored file that an endpoint's output carries. */
export interface GeneratedFile {
  readonly url: string
  readonly contentType: string
  readonly fileName: string
  readonly fileSize: number
}

export interface GeneratedFileOptions {
  /** Origin and prefix under which the client that asked reaches files, e.g. `http://localhost:3010/cdn`. */
  readonly filesUrl: string
  readonly lifecycle: Lifecycle
  /** Account of the request. */
  readonly owner?: string
}

/**
 * Stores a file that an endpoint made, under a name of its own.
 * @param extension without the dot: `png`
 * @returns the output's file fields, with a URL like `<filesUrl>/files/3f/<random>_<hex>.png`
 */
export async function saveGeneratedFile(
  store: ObjectStore,
  bytes: Uint8Array,
  contentType: string,
  extension: string,
  options: GeneratedFileOptions,
): Promise<GeneratedFile> {
  const fileName = `${randomBytes(16).toString('hex')}.${extension}`
  const key = newFileKey(fileName)
  await store.put(key, bytes, putOptions(contentType, options.lifecycle, options.owner, new Date()))
  return { url: fileUrl(options.filesUrl, key), contentType, fileName, fileSize: bytes.byteLength }
}

/** Keys need no escaping in a URL. */
export function fileUrl(filesUrl: string, key: string): string {
  return `${filesUrl.replace(/\/+$/, '')}/${key}`
}
