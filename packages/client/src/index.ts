import { createFalClient, type FalClient, type RequestMiddleware, withMiddleware } from '@fal-ai/client'
import { darkroomBase, toDarkroomUrl } from './darkroom-url.ts'
import { redirectRealtime } from './realtime.ts'

type FalConfig = NonNullable<Parameters<typeof createFalClient>[0]>

/** Everything `createFalClient` takes, and where the Darkroom is. */
export type DarkroomClientConfig = Omit<FalConfig, 'proxyUrl'> & {
  /** `http://localhost:3010`; in a page also relative to it: `/`. */
  readonly url: string
}

/**
 * The unmodified `@fal-ai/client`, with every request and realtime socket going to a Darkroom instead of fal.
 * @param config `credentials` (`id:secret`) may be left out where the server needs no key
 * @throws TypeError for a `url` that is none
 */
export function createDarkroomClient(config: DarkroomClientConfig): FalClient {
  const { url, requestMiddleware, fetch: customFetch, ...falConfig } = config
  const base = darkroomBase(url, (globalThis as { location?: { href: string } }).location?.href)
  const send: typeof fetch = customFetch ?? ((input, init) => globalThis.fetch(input, init))
  // While React renders on a server, as in Next.js, its `fetch` answers a GET without a signal from memory: a status would never change.
  const doFetch: typeof fetch = (input, init) =>
    send(input, { ...init, signal: init?.signal ?? new AbortController().signal })
  const redirect: RequestMiddleware = async (request) => ({ ...request, url: toDarkroomUrl(request.url, base) })
  const client = createFalClient({
    ...falConfig,
    requestMiddleware: requestMiddleware === undefined ? redirect : withMiddleware(requestMiddleware, redirect),
    // Streams in connection mode `client` pass the middleware by.
    fetch: (input, init) => doFetch(typeof input === 'string' ? toDarkroomUrl(input, base) : input, init),
  })
  const credentials = () => resolveCredentials(config.credentials)
  const realtime = redirectRealtime(client.realtime, { base, credentials, fetch: doFetch })
  return { ...client, realtime }
}

/** As fal's client finds them: as given, or `FAL_KEY`, or `FAL_KEY_ID` and `FAL_KEY_SECRET`. */
function resolveCredentials(credentials: FalConfig['credentials']): string | undefined {
  if (typeof credentials === 'function') return credentials()
  if (credentials !== undefined) return credentials
  const env = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {}
  if (env.FAL_KEY !== undefined) return env.FAL_KEY
  return env.FAL_KEY_ID === undefined ? undefined : `${env.FAL_KEY_ID}:${env.FAL_KEY_SECRET ?? ''}`
}
