import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { WireError } from '../../errors/errors.ts'
import { fileUrl } from '../../storage/generated-file.ts'
import { lifecycleOf, putOptions } from '../../storage/lifecycle.ts'
import { newFileKey } from '../../storage/object-key.ts'
import type { ObjectInfo, UploadedPart } from '../../storage/object-store.ts'
import { limitBody } from '../../storage/upload-body.ts'
import { readCdnToken, readTicket, readUploadId, signUploadId, type UploadTicket } from '../../storage/upload-ticket.ts'
import { readJsonValue, refuseEncodedBody } from '../request-body.ts'
import { contentTypeOf } from './file-headers.ts'
import type { StorageDependencies } from './storage-dependencies.ts'
import { answeringStorageErrors } from './storage-failure.ts'

/** S3 takes no smaller part but the last, so more parts than this cannot make a file that is small enough. */
const SMALLEST_PART_BYTES = 5 * 1024 * 1024
/** 10,000 parts of 130 bytes. */
const LONGEST_COMPLETION = 2 * 1024 * 1024

const completion = z.object({
  parts: z
    .array(z.object({ partNumber: z.number(), etag: z.string() }))
    .min(1)
    .max(10_000),
})

/**
 * Uploads in three dialects. JavaScript: PUT to the signed URL, or `/{n}` and `/complete` appended to its path. Python:
 * `/files/upload` and `/files/upload/multipart` with a CDN token. Both dialects of part answers are given to everyone.
 */
export function fileUploadRoutes(dependencies: StorageDependencies): Hono {
  const app = new Hono()
  const answer = answeringStorageErrors
  app.put('/files/:folder/:name', (c) => answer(() => putFile(c, dependencies)))
  app.put('/files/:folder/:name/:part{[0-9]+}', (c) => answer(() => putTicketPart(c, dependencies)))
  app.post('/files/:folder/:name/complete', (c) => answer(() => completeTicket(c, dependencies)))
  app.post('/files/upload', (c) => answer(() => uploadFile(c, dependencies)))
  app.post('/files/upload/multipart', (c) => answer(() => createMultipart(c, dependencies)))
  app.put('/files/:folder/:name/multipart/:uploadId/:part{[0-9]+}', (c) => answer(() => putTokenPart(c, dependencies)))
  app.post('/files/:folder/:name/multipart/:uploadId/complete', (c) => answer(() => completeToken(c, dependencies)))
  return app
}

async function putFile(c: Context, { store, secret, limits, requireRoom }: StorageDependencies): Promise<Response> {
  const { key, contentType, lifecycle, owner, uploadId } = ticketOf(c, secret)
  if (uploadId !== undefined)
    throw new WireError(400, 'This URL is for a multipart upload: PUT parts to /1, /2 … below it')
  requireRoom()
  const body = limitBody(c.req.raw.body, { maxBytes: limits.maxFileBytes, ...announced(c) })
  const { etag } = await store.put(key, body, putOptions(contentType, lifecycle, owner, new Date()))
  return c.json({}, 200, { etag: `"${etag}"` })
}

async function putTicketPart(c: Context, dependencies: StorageDependencies): Promise<Response> {
  const { key, uploadId } = ticketOf(c, dependencies.secret)
  return putPart(c, dependencies, key, uploadId)
}

async function completeTicket(c: Context, dependencies: StorageDependencies): Promise<Response> {
  const { key, uploadId } = ticketOf(c, dependencies.secret)
  await complete(c, dependencies, key, uploadId)
  return c.json({})
}

async function uploadFile(c: Context, dependencies: StorageDependencies): Promise<Response> {
  const { store, limits } = dependencies
  const owner = await uploader(c.req.raw, dependencies)
  const { key, options } = await newFile(c, owner, dependencies)
  await store.put(key, limitBody(c.req.raw.body, { maxBytes: limits.maxFileBytes, ...announced(c) }), options)
  return c.json({ access_url: fileUrl(dependencies.filesUrl(c.req.raw), key) })
}

async function createMultipart(c: Context, dependencies: StorageDependencies): Promise<Response> {
  const owner = await uploader(c.req.raw, dependencies)
  const { key, options } = await newFile(c, owner, dependencies)
  const uploadId = await dependencies.store.createMultipart(key, options)
  const signed = signUploadId(uploadId, key, owner, dependencies.secret)
  return c.json({ access_url: fileUrl(dependencies.filesUrl(c.req.raw), key), uploadId: signed })
}

async function putTokenPart(c: Context, dependencies: StorageDependencies): Promise<Response> {
  return putPart(c, dependencies, fileKey(c), await ownUpload(c, dependencies))
}

async function completeToken(c: Context, dependencies: StorageDependencies): Promise<Response> {
  const { key } = await complete(c, dependencies, fileKey(c), await ownUpload(c, dependencies))
  return c.json({ access_url: fileUrl(dependencies.filesUrl(c.req.raw), key) })
}

/** @throws WireError 401, and 404 for an upload that there is not or that is not the caller's */
async function ownUpload(c: Context, dependencies: StorageDependencies): Promise<string> {
  const owner = await uploader(c.req.raw, dependencies)
  const uploadId = readUploadId(c.req.param('uploadId') ?? '', fileKey(c), owner, dependencies.secret)
  if (uploadId === undefined) throw new WireError(404, 'There is no such multipart upload of this file')
  return uploadId
}

async function putPart(
  c: Context,
  { store, limits, requireRoom }: StorageDependencies,
  key: string,
  uploadId: string | undefined,
): Promise<Response> {
  requireRoom()
  if (uploadId === undefined) throw new WireError(400, 'This URL is for an upload in one piece: PUT the file to it')
  const partNumber = Number(c.req.param('part'))
  const maxParts = Math.max(1, Math.ceil(limits.maxFileBytes / SMALLEST_PART_BYTES))
  if (partNumber < 1 || partNumber > maxParts)
    throw new WireError(400, `part number ${partNumber}: expected 1 to ${maxParts}`)
  const body = limitBody(c.req.raw.body, { maxBytes: limits.maxPartBytes, nonEmpty: true, ...announced(c) })
  const part = await store.putPart(key, uploadId, partNumber, body)
  // The JavaScript client reads the body, the Python client the header.
  return c.json({ partNumber: part.partNumber, etag: part.etag }, 200, { etag: `"${part.etag}"` })
}

async function complete(
  c: Context,
  { store, limits }: StorageDependencies,
  key: string,
  uploadId: string | undefined,
): Promise<ObjectInfo> {
  if (uploadId === undefined)
    throw new WireError(400, 'This URL is for an upload in one piece: there is nothing to complete')
  const info = await store.completeMultipart(key, uploadId, await readParts(c.req.raw))
  if (info.size <= limits.maxFileBytes) return info
  await store.delete(key)
  throw new WireError(413, `The file is larger than the ${limits.maxFileBytes} bytes that this server takes`)
}

async function readParts(request: Request): Promise<readonly UploadedPart[]> {
  const parsed = completion.safeParse(await readJsonValue(request, LONGEST_COMPLETION))
  if (!parsed.success) throw new WireError(400, 'The body should be {"parts": [{"partNumber": 1, "etag": "…"}, …]}')
  return parsed.data.parts.map(({ partNumber, etag }) => ({ partNumber, etag: etag.replace(/^(W\/)?"|"$/g, '') }))
}

/** The store's key in the path, whatever prefix the routes are mounted under. */
export function fileKey(c: Context): string {
  return `files/${c.req.param('folder')}/${c.req.param('name')}`
}

async function newFile(c: Context, owner: string, { lifecycleDefaults, requireRoom }: StorageDependencies) {
  requireRoom()
  const headers = c.req.raw.headers
  const contentType = contentTypeOf(headers.get('content-type'))
  const key = newFileKey(headers.get('x-fal-file-name') ?? `file.${/^\w+\/(\w+)/.exec(contentType)?.[1] ?? 'bin'}`)
  return {
    key,
    options: putOptions(contentType, lifecycleOf(headers, await lifecycleDefaults.current()), owner, new Date()),
  }
}

function ticketOf(c: Context, secret: Uint8Array): UploadTicket {
  return readTicket(new URL(c.req.url), fileKey(c), secret, new Date())
}

/** Account of the CDN token; a key is taken as well. @throws WireError 401 */
async function uploader(request: Request, { secret, authenticate }: StorageDependencies): Promise<string> {
  const [, bearer] = /^bearer\s+(\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
  const token = bearer === undefined ? undefined : readCdnToken(bearer, secret, new Date())
  return token === undefined ? (await authenticate(request)).account : token.owner
}

/** What the head says of an upload's body. @throws WireError 415 */
function announced(c: Context): { announcedBytes?: number } {
  refuseEncodedBody(c.req.raw.headers)
  const length = c.req.raw.headers.get('content-length')
  return length === null || !/^\d+$/.test(length) ? {} : { announcedBytes: Number(length) }
}
