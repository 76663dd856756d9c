import type { ObjectAcl, ObjectInfo, PutOptions } from './object-store.ts'

/** The part of S3's answers about an object that is read here. */
export interface S3Head {
  readonly ContentType?: string | undefined
  readonly ETag?: string | undefined
  readonly LastModified?: Date | undefined
  readonly Metadata?: Readonly<Record<string, string>> | undefined
}

/** User metadata (`x-amz-meta-…`), which holds ASCII only: values are percent-encoded. */
export function objectMetadata({ expiresAt, acl, owner }: PutOptions): Record<string, string> {
  return {
    ...(expiresAt !== undefined && { 'expires-at': expiresAt.toISOString() }),
    ...(acl !== undefined && { acl: encodeURIComponent(JSON.stringify(acl)) }),
    ...(owner !== undefined && { owner: encodeURIComponent(owner) }),
  }
}

export function toObjectInfo(key: string, head: S3Head, size: number): ObjectInfo {
  const { 'expires-at': expiresAt, acl, owner } = head.Metadata ?? {}
  return {
    key,
    size,
    contentType: head.ContentType ?? 'application/octet-stream',
    etag: head.ETag?.replaceAll('"', '') ?? '',
    createdAt: head.LastModified ?? new Date(0),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
    ...(acl !== undefined && { acl: JSON.parse(decodeURIComponent(acl)) as ObjectAcl }),
    ...(owner !== undefined && { owner: decodeURIComponent(owner) }),
  }
}

export function isExpired({ expiresAt }: ObjectInfo, now: Date = new Date()): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

export const EXPIRY_FOLDER = 'expiry/'

/**
 * An empty object whose name says when another one expires: `expiry/000001767225600/files/3f/…`. S3 lists names in order, so the
 * sweep reads what is due and nothing else, where it would otherwise have to ask for every object's metadata.
 */
export function expiryMarker(key: string, expiresAt: Date): string {
  return `${EXPIRY_FOLDER}${epochName(expiresAt)}/${key}`
}

export function parseExpiryMarker(name: string): { readonly epochSeconds: number; readonly key: string } | undefined {
  const [, seconds, key] = /^expiry\/(\d{15})\/(.+)$/.exec(name) ?? []
  return seconds === undefined || key === undefined ? undefined : { epochSeconds: Number(seconds), key }
}

function epochName(date: Date): string {
  return String(Math.ceil(Math.max(0, date.getTime()) / 1000)).padStart(15, '0')
}
