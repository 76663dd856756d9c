import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { WireError } from '../errors/errors.ts'
import type { Lifecycle } from './lifecycle.ts'

/*
 * A ticket is what a signed upload URL permits, carried in its query so that any gateway with the secret can check it
 * and none has to remember it: `?ticket=<base64url JSON>&signature=<base64url HMAC-SHA256>`. The signature is in the query
 * because fal's JavaScript client appends `/1` or `/complete` to the path and keeps the query. Download URLs carry theirs alike.
 */

export interface UploadTicket {
  readonly key: string
  readonly contentType: string
  readonly lifecycle: Lifecycle
  readonly owner: string
  /** Present for a multipart upload: its parts and its completion, and nothing else, are permitted. */
  readonly uploadId?: string
  /** Unix seconds. */
  readonly validUntil: number
}

/** What a token of `/storage/auth/token` says. */
export interface CdnToken {
  readonly owner: string
  /** Unix seconds. */
  readonly validUntil: number
}

const decision = z.enum(['allow', 'forbid', 'hide'])
const uploadTicket = z.object({
  key: z.string(),
  contentType: z.string(),
  lifecycle: z.object({
    lifetimeSeconds: z.number().exactOptional(),
    acl: z
      .object({
        default: decision.exactOptional(),
        rules: z.array(z.object({ user: z.string(), decision })).exactOptional(),
      })
      .exactOptional(),
  }),
  owner: z.string(),
  uploadId: z.string().exactOptional(),
  validUntil: z.number(),
})
const cdnToken = z.object({ owner: z.string(), validUntil: z.number() })

/** @returns the query string of the upload URL, without `?` */
export function signTicket(ticket: UploadTicket, secret: Uint8Array): string {
  const payload = encode(ticket)
  return new URLSearchParams({ ticket: payload, signature: sign('upload', payload, secret) }).toString()
}

/** @throws WireError 403 when the URL was altered, is for another file, or its time is over */
export function readTicket(url: URL, key: string, secret: Uint8Array, now: Date): UploadTicket {
  const payload = url.searchParams.get('ticket') ?? ''
  if (!isSigned('upload', payload, url.searchParams.get('signature') ?? '', secret)) {
    throw new WireError(
      403,
      'The signature of this upload URL is missing or wrong: use the URL exactly as it was issued',
    )
  }
  const ticket = uploadTicket.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()))
  if (ticket.key !== key) throw new WireError(403, 'This upload URL was issued for another file')
  if (ticket.validUntil * 1000 <= now.getTime()) {
    throw new WireError(403, 'This upload URL has expired: initiate the upload again')
  }
  return ticket
}

export function signCdnToken(token: CdnToken, secret: Uint8Array): string {
  const payload = encode(token)
  return `${payload}.${sign('cdn', payload, secret)}`
}

/** `undefined` when it is not a token of ours, or its time is over. */
export function readCdnToken(text: string, secret: Uint8Array, now: Date): CdnToken | undefined {
  const [payload = '', signature = ''] = text.split('.')
  if (!isSigned('cdn', payload, signature, secret)) return undefined
  const token = cdnToken.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()))
  return token.validUntil * 1000 > now.getTime() ? token : undefined
}

/**
 * Lets a file be downloaded that its rules keep from the caller.
 * @param validUntil Unix seconds
 * @returns the query string of the URL, without `?`
 */
export function signDownload(key: string, validUntil: number, secret: Uint8Array): string {
  const signature = sign('download', `${validUntil}\n${key}`, secret)
  return new URLSearchParams({ valid_until: String(validUntil), signature }).toString()
}

/** Whether a URL carries a signature for this file that is good now. */
export function isSignedDownload(url: URL, key: string, secret: Uint8Array, now: Date): boolean {
  const validUntil = url.searchParams.get('valid_until') ?? ''
  const signature = url.searchParams.get('signature') ?? ''
  return isSigned('download', `${validUntil}\n${key}`, signature, secret) && Number(validUntil) * 1000 > now.getTime()
}

/** The id by which the owner of a multipart upload, and nobody else, names it: the store's, bound to whose it is. */
export function signUploadId(uploadId: string, key: string, owner: string, secret: Uint8Array): string {
  return `${uploadId}.${sign('multipart', `${owner}\n${key}\n${uploadId}`, secret)}`
}

/** The store's id of an upload; `undefined` for one that is not the owner's. */
export function readUploadId(text: string, key: string, owner: string, secret: Uint8Array): string | undefined {
  const dot = text.lastIndexOf('.')
  const uploadId = text.slice(0, Math.max(dot, 0))
  return isSigned('multipart', `${owner}\n${key}\n${uploadId}`, text.slice(dot + 1), secret) ? uploadId : undefined
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

type Purpose = 'upload' | 'cdn' | 'download' | 'multipart'

/** The purpose is signed too, so a token for one thing is none for another. */
function sign(purpose: Purpose, payload: string, secret: Uint8Array): string {
  return createHmac('sha256', secret).update(`${purpose}\n${payload}`).digest('base64url')
}

function isSigned(purpose: Purpose, payload: string, signature: string, secret: Uint8Array): boolean {
  const expected = Buffer.from(sign(purpose, payload, secret))
  const given = Buffer.from(signature)
  return given.byteLength === expected.byteLength && timingSafeEqual(given, expected)
}
