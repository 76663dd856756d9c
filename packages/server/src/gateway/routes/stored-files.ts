import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import { DEFAULT_ACCOUNT } from '../../queue/request-queue.ts'
import { fileUrl } from '../../storage/generated-file.ts'
import { isOwner, lifecycleBody, parseAcl, readLifecycle } from '../../storage/lifecycle.ts'
import type { ObjectInfo } from '../../storage/object-store.ts'
import { fileKeyOf } from '../../storage/own-file.ts'
import { signDownload } from '../../storage/upload-ticket.ts'
import { accountOf, requireKey } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { readBody, readJsonValue } from '../request-body.ts'
import type { StorageDependencies } from './storage-dependencies.ts'
import { answeringStorageErrors } from './storage-failure.ts'

const LONGEST_BODY = 64 * 1024
const LONGEST_SIGNED_SECONDS = 604_800

type StoredFilesDependencies = Pick<GatewayDependencies, 'keys' | 'storage' | 'lifecycleDefaults'>

/**
 * `/v1/storage` of the Platform API: access rules and signed URLs of a file, for the account that stored it, and the server's
 * default lifecycle, which keys of scope ADMIN of the default account set.
 */
export function storedFilesRoutes(dependencies: StoredFilesDependencies): RouteGroup {
  const { storage, lifecycleDefaults } = dependencies
  const routes = new Hono<GatewayEnv>()
  const missing = 'Authentication required'
  const key = requireKey(dependencies, { missing })
  const admin = requireKey(dependencies, { missing, scope: 'ADMIN', account: DEFAULT_ACCOUNT })
  routes.get('/v1/storage/files/acl', key, async (c) => c.json(aclBody(await ownFile(c, storage))))
  routes.put('/v1/storage/files/acl', key, async (c) => {
    const { key: fileKey } = await ownFile(c, storage)
    const acl = parseAcl(await readJson(c))
    const info = await answeringStorageErrors(() => storage.store.setAcl(fileKey, acl))
    if (info === undefined) throw notFound()
    return c.json(aclBody(info))
  })
  routes.post('/v1/storage/files/sign', key, async (c) => c.json({ signed_url: await signedUrl(c, storage) }))
  routes.get('/v1/storage/settings', key, async (c) => c.json(lifecycleBody(await lifecycleDefaults.current())))
  routes.put('/v1/storage/settings', admin, async (c) => {
    const text = await readText(c)
    return c.json(lifecycleBody(await lifecycleDefaults.update((before) => readLifecycle('body', text, before))))
  })
  return routes
}

/**
 * The file that the query names.
 * @throws WireError 400 without a URL of a file, 404 for none and for another account's
 */
async function ownFile(c: GatewayContext, { store }: StorageDependencies): Promise<ObjectInfo> {
  const fileKey = fileKeyOf(c.req.query('url') ?? '')
  if (fileKey === undefined) throw new WireError(400, 'url: expected the URL of a file of this server')
  const info = await answeringStorageErrors(() => store.head(fileKey))
  if (info === undefined || !isOwner(info, accountOf(c))) throw notFound()
  return info
}

function aclBody({ acl }: ObjectInfo) {
  return { default: acl?.default ?? 'allow', rules: acl?.rules ?? [] }
}

async function signedUrl(c: GatewayContext, storage: StorageDependencies): Promise<string> {
  const { key } = await ownFile(c, storage)
  const validUntil = Math.floor(Date.now() / 1000) + readSeconds(await readJson(c))
  return `${fileUrl(storage.filesUrl(c.req.raw), key)}?${signDownload(key, validUntil, storage.secret)}`
}

function readSeconds(body: unknown): number {
  const seconds = typeof body === 'object' && body !== null ? Reflect.get(body, 'expiration_seconds') : undefined
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_SIGNED_SECONDS) return seconds
  throw new WireError(400, `expiration_seconds: expected a whole number from 1 to ${LONGEST_SIGNED_SECONDS}`)
}

async function readText(c: GatewayContext): Promise<string> {
  return Buffer.from(await readBody(c.req.raw, LONGEST_BODY)).toString('utf8')
}

async function readJson(c: GatewayContext): Promise<unknown> {
  const value = await readJsonValue(c.req.raw, LONGEST_BODY)
  if (value === undefined) throw new WireError(400, 'The body is not JSON')
  return value
}

function notFound(): WireError {
  return new WireError(404, 'File not found: it never existed, was deleted or has expired')
}
