import { type Context, Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import { decide } from '../../storage/lifecycle.ts'
import type { ObjectInfo } from '../../storage/object-store.ts'
import { isSignedDownload } from '../../storage/upload-ticket.ts'
import { fileHeaders, isFresh, rangeOf } from './file-headers.ts'
import { fileKey, fileUploadRoutes } from './files-upload.ts'
import type { StorageDependencies } from './storage-dependencies.ts'
import { answeringStorageErrors } from './storage-failure.ts'

/**
 * fal's CDN host, mounted under `/cdn` or the Host `v3.fal.media`: public downloads with ranges, and the uploads that
 * end here (`fileUploadRoutes`).
 */
export function filesRoutes(dependencies: StorageDependencies): Hono {
  const app = new Hono()
  // Hono answers HEAD through the GET route.
  app.get('/files/:folder/:name', (c) => answeringStorageErrors(() => download(c, dependencies)))
  app.route('/', fileUploadRoutes(dependencies))
  return app
}

async function download(c: Context, dependencies: StorageDependencies): Promise<Response> {
  const { store } = dependencies
  const key = fileKey(c)
  const info = await store.head(key)
  if (info === undefined) throw notFound()
  await assertReadable(c.req.raw, info, dependencies)
  const headers = fileHeaders(info, new Date())
  if (isFresh(c.req.raw.headers, info)) return c.body(null, 304, headers)
  const range = rangeOf(c.req.raw.headers, info)
  if (range === 'unsatisfiable') {
    return c.json({ detail: `The file has ${info.size} bytes` }, 416, { 'content-range': `bytes */${info.size}` })
  }
  const length = range === undefined ? info.size : range.end + 1 - range.start
  headers['content-length'] = String(length)
  if (range !== undefined) headers['content-range'] = `bytes ${range.start}-${range.end}/${info.size}`
  const status = range === undefined ? 200 : 206
  if (c.req.raw.method === 'HEAD') return c.body(null, status, headers)
  const object = await store.get(key, range)
  if (object === undefined) throw notFound()
  if (object.info.etag !== info.etag) {
    await object.body.cancel()
    throw new WireError(503, 'The file was replaced while it was opened: try again')
  }
  return c.body(object.body, status, headers)
}

async function assertReadable(
  request: Request,
  info: ObjectInfo,
  { authenticate, secret }: StorageDependencies,
): Promise<void> {
  if (info.acl === undefined || isSignedDownload(new URL(request.url), info.key, secret, new Date())) return
  const reader = request.headers.has('authorization') ? await authenticate(request) : undefined
  const decision = decide(info, reader)
  if (decision === 'hide') throw notFound()
  if (decision === 'forbid') throw new WireError(403, 'You are not allowed to read this file')
}

function notFound(): WireError {
  return new WireError(404, 'File not found: it never existed, was deleted or has expired')
}
