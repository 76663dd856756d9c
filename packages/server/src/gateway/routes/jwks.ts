import { Hono } from 'hono'

const PATH = '/.well-known/jwks.json'

/**
 * The public keys that webhooks are signed with, for receivers (fal's are at `rest.fal.ai`): mounted under `/rest`, the
 * Host `rest.fal.ai`, and the root.
 * @param keys public JWKs, newest first
 */
export function jwksRoutes(keys: readonly object[]): Hono {
  const app = new Hono()
  // fal asks receivers to keep keys for a day at most; an hour lets a new database's key come through sooner.
  app.get(PATH, (c) => c.json({ keys }, 200, { 'cache-control': 'public, max-age=3600' }))
  return app
}
