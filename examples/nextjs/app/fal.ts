import { createFalClient, type FalClient } from '@fal-ai/client'

/** Where fal's hosts are on a Darkroom. */
const PREFIXES: Readonly<Record<string, string>> = {
  'https://fal.run': '/run',
  'https://queue.fal.run': '/queue',
  'https://rest.fal.ai': '/rest',
}

/**
 * The client for components: every call goes through the app's own `/api/fal/proxy`, which keeps the key.
 * @param darkroomUrl `NEXT_PUBLIC_DARKROOM_URL`
 * @param appUrl where the app itself is, for calls from outside a page; a page needs none
 */
export function createClient(darkroomUrl: string, appUrl = ''): FalClient {
  return createFalClient({
    // Runs first, so the proxy is asked for a URL of the Darkroom instead of one of fal's.
    requestMiddleware: async (request) => {
      const { origin } = new URL(request.url)
      return { ...request, url: request.url.replace(origin, `${darkroomUrl}${PREFIXES[origin] ?? ''}`) }
    },
    proxyUrl: { url: `${appUrl}/api/fal/proxy`, when: 'always' },
  })
}
