import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { fieldError, requestError } from '../../errors/errors.ts'
import { fileUrl } from '../../storage/generated-file.ts'
import { lifecycleOf, putOptions } from '../../storage/lifecycle.ts'
import { newFileKey } from '../../storage/object-key.ts'
import { signCdnToken, signTicket, type UploadTicket } from '../../storage/upload-ticket.ts'
import { readBody } from '../request-body.ts'
import { contentTypeOf } from './file-headers.ts'
import type { StorageDependencies } from './storage-dependencies.ts'
import { answeringStorageErrors } from './storage-failure.ts'

const LONGEST_BODY = 64 * 1024

const initiation = z.object({ content_type: z.string().nullish(), file_name: z.string().nullish() })

/**
 * The storage half of fal's REST host, mounted under `/rest` or the Host `rest.fal.ai`: where uploads begin. The bytes
 * themselves go to the file routes, straight from the client, with what these answers give it.
 */
export function storageRoutes(dependencies: StorageDependencies): Hono {
  const app = new Hono()
  // `storage_type` (`fal-cdn-v3`, `gcs`) names fal's backends; here there is one.
  app.post('/storage/upload/initiate', (c) => initiate(c, dependencies, false))
  app.post('/storage/upload/initiate-multipart', (c) => initiate(c, dependencies, true))
  app.post('/storage/auth/token', (c) => issueCdnToken(c, dependencies))
  return app
}

async function initiate(c: Context, dependencies: StorageDependencies, multipart: boolean): Promise<Response> {
  const { store, secret, limits } = dependencies
  const { account: owner } = await dependencies.authenticate(c.req.raw)
  dependencies.requireRoom()
  const body = await readInitiation(c.req.raw)
  const contentType = contentTypeOf(body.content_type)
  const lifecycle = lifecycleOf(c.req.raw.headers, await dependencies.lifecycleDefaults.current())
  const key = newFileKey(body.file_name ?? 'file')
  const fileAt = fileUrl(dependencies.filesUrl(c.req.raw), key)
  return answeringStorageErrors(async () => {
    const options = putOptions(contentType, lifecycle, owner, new Date())
    if (!multipart) {
      const direct = await store.presignPut(key, { ...options, expiresInSeconds: limits.ticketSeconds })
      if (direct !== undefined) return c.json({ upload_url: direct, file_url: fileAt })
    }
    const ticket: UploadTicket = {
      key,
      contentType,
      lifecycle,
      validUntil: Math.floor(Date.now() / 1000) + limits.ticketSeconds,
      owner,
      ...(multipart && { uploadId: await store.createMultipart(key, options) }),
    }
    return c.json({ upload_url: `${fileAt}?${signTicket(ticket, secret)}`, file_url: fileAt })
  })
}

async function issueCdnToken(c: Context, dependencies: StorageDependencies): Promise<Response> {
  const { account: owner } = await dependencies.authenticate(c.req.raw)
  const validUntil = Math.floor(Date.now() / 1000) + dependencies.limits.ticketSeconds
  const token = signCdnToken({ validUntil, owner }, dependencies.secret)
  return c.json({
    token,
    token_type: 'Bearer',
    base_url: dependencies.filesUrl(c.req.raw),
    // Python's fromisoformat reads no "Z" before 3.11, and the client compares with an aware time.
    expires_at: new Date(validUntil * 1000).toISOString().replace(/\.\d+Z$/, '+00:00'),
  })
}

async function readInitiation(request: Request): Promise<z.infer<typeof initiation>> {
  const text = new TextDecoder().decode(await readBody(request, LONGEST_BODY))
  const json = text.trim() === '' ? {} : parseJson(text)
  const parsed = initiation.safeParse(json)
  if (parsed.success) return parsed.data
  const [field] = parsed.error.issues[0]?.path ?? []
  if (typeof field === 'string') throw fieldError(field, 'type_error.str', 'str type expected')
  throw fieldError([], 'type_error.dict', 'value is not a valid dict')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw requestError(
      'bad_request',
      'The body is not JSON: expected {"content_type": "image/png", "file_name": "a.png"}',
      cause,
    )
  }
}
