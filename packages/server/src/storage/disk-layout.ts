import { randomBytes } from 'node:crypto'
import { extname, join } from 'node:path'
import { z } from 'zod'
import { assertObjectKey } from './object-key.ts'
import type { ObjectInfo } from './object-store.ts'
import { StorageError } from './storage-error.ts'

/*
 * objects/files/3f/<random>_cat.png~            metadata, JSON: the commit point of a write
 * objects/files/3f/<random>_cat~<version>.png   bytes, named by the metadata
 * objects/…/<name>~<version>.new                metadata on its way
 * expiry/<hours since 1970>/<version>            key of an object that expires in that hour
 * uploads/<upload id>/upload.json, part-<n>-<etag>
 *
 * "~" occurs in no key, so neither file can collide with another object or folder. Bytes and metadata lie in one
 * folder, so that one fsync of it makes both names durable.
 */

const METADATA_SUFFIX = '~'

const objectAcl = z.object({
  default: z.enum(['allow', 'forbid', 'hide']).exactOptional(),
  rules: z.array(z.object({ user: z.string(), decision: z.enum(['allow', 'forbid', 'hide']) })).exactOptional(),
})

const metadata = z.object({
  key: z.string(),
  blob: z.string(),
  size: z.number(),
  contentType: z.string(),
  etag: z.string(),
  createdAt: z.coerce.date(),
  expiresAt: z.coerce.date().exactOptional(),
  acl: objectAcl.exactOptional(),
  owner: z.string().exactOptional(),
})

/** An object's metadata as its file holds it; `blob` is the name of the file with the bytes. */
export type DiskMetadata = ObjectInfo & { readonly blob: string }

/** @throws StorageError `unavailable` when the text is damaged */
export function parseMetadata(json: string): DiskMetadata {
  try {
    return metadata.parse(JSON.parse(json))
  } catch (error) {
    throw new StorageError('unavailable', `damaged metadata of a file: ${JSON.stringify(json.slice(0, 200))}`, error)
  }
}

export interface DiskPaths {
  readonly folder: string
  readonly metadata: string
  readonly blob: (version: string) => string
}

export function objectPaths(root: string, key: string): DiskPaths {
  assertObjectKey(key)
  const segments = key.split('/')
  const name = segments.pop() ?? ''
  const folder = join(root, 'objects', ...segments)
  const extension = extname(name)
  const stem = name.slice(0, name.length - extension.length)
  return {
    folder,
    metadata: `${name}${METADATA_SUFFIX}`,
    blob: (version) => `${stem}~${version}${extension}`,
  }
}

export function newVersion(): string {
  return randomBytes(6).toString('hex')
}

export function isMetadataFile(name: string): boolean {
  return name.endsWith(METADATA_SUFFIX)
}
