import { gzipSync } from 'node:zlib'
import { Hono } from 'hono'
import type { Config } from '../../config/config.ts'
import { WireError } from '../../errors/errors.ts'
import type { GatewayContext, GatewayEnv, RouteGroup } from '../dependencies.ts'
import type { PlaygroundBundle } from '../playground-bundle.ts'

/** Paths that are pages: the bundle's router draws them, so each is answered with the same document. */
const PAGES = ['/', '/models/*', '/realtime', '/history', '/server', '/docs', '/docs/*']

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  jpg: 'image/jpeg',
  png: 'image/png',
}

type PlaygroundConfig = Pick<Config, 'publicUrl' | 's3'>

/**
 * The playground: a static bundle that knows the server by its public wire alone, open to all; what it calls asks for a key where one
 * is needed.
 * @param load gives the bundle's files, the same each time
 */
export function playgroundRoutes(load: () => Promise<PlaygroundBundle>, config: PlaygroundConfig): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  const policy = contentSecurityPolicy(config)
  for (const page of PAGES) {
    routes.get(page, async (c) => {
      const document = fileOf(await bundleOf(load), 'index.html')
      return c.body(withBase(new TextDecoder().decode(document), c.req.path), 200, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
        'content-security-policy': policy,
        'permissions-policy': 'camera=(self), clipboard-write=(self)',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      })
    })
  }
  const packed = new Map<string, Uint8Array<ArrayBuffer>>()
  const answerFile = async (c: GatewayContext, path: string, cacheControl: string) => {
    const plain = fileOf(await bundleOf(load), path)
    const headers = {
      'content-type': TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
      'cache-control': cacheControl,
      'x-content-type-options': 'nosniff',
      vary: 'Accept-Encoding',
    }
    if (!/\bgzip\b/.test(c.req.header('accept-encoding') ?? '')) return c.body(plain, 200, headers)
    const gzipped = packed.get(path) ?? new Uint8Array(gzipSync(plain))
    packed.set(path, gzipped)
    return c.body(gzipped, 200, { ...headers, 'content-encoding': 'gzip' })
  }
  // Their names hold a hash of what is in them.
  routes.get('/assets/*', (c) => answerFile(c, c.req.path.slice(1), 'public, max-age=31536000, immutable'))
  routes.get('/icon.svg', (c) => answerFile(c, 'icon.svg', 'public, max-age=86400'))
  return routes
}

async function bundleOf(load: () => Promise<PlaygroundBundle>): Promise<PlaygroundBundle> {
  try {
    return await load()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new WireError(503, `The playground could not be built, the API works without it: ${reason}`, { cause })
  }
}

function fileOf(bundle: PlaygroundBundle, path: string): Uint8Array<ArrayBuffer> {
  const bytes = bundle.get(path)
  if (bytes === undefined) throw new WireError(404, 'Not Found')
  return bytes
}

/**
 * The document with a base that leads from the page's path up to the server's own: so the pages need not know below which path a
 * reverse proxy has put the server.
 */
function withBase(document: string, path: string): string {
  const depth = path.split('/').length - 2
  return document.replace('<head>', `<head>\n    <base href="${depth === 0 ? './' : '../'.repeat(depth)}" />`)
}

/** Scripts and styles of this server only, and no request to any other host but those that the configuration names. */
function contentSecurityPolicy({ publicUrl, s3 }: PlaygroundConfig): string {
  const own = publicUrl === undefined ? [] : [new URL(publicUrl).origin]
  // Uploads go to the bucket itself.
  const bucket = s3 === undefined ? [] : [s3.endpoint === undefined ? 'https://*.amazonaws.com' : originOf(s3.endpoint)]
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self' data: blob: ${own.join(' ')}`,
    "media-src 'self' blob:",
    `connect-src 'self' data: blob: ${[...own, ...bucket].join(' ')}`,
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
    .map((directive) => directive.trim())
    .join('; ')
}

function originOf(url: string): string {
  return new URL(url).origin
}
