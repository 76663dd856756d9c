import { createRouteHandler } from '@fal-ai/server-proxy/nextjs'

const { host } = new URL(process.env.NEXT_PUBLIC_DARKROOM_URL ?? 'http://127.0.0.1:3010')

/** fal's published proxy, allowed to reach the Darkroom and nothing else. It takes the key from FAL_KEY. */
export const { GET, POST, PUT } = createRouteHandler({
  allowedUrlPatterns: [`${host}/run/**`, `${host}/queue/**`, `${host}/rest/storage/upload/**`],
  allowedEndpoints: ['run/fal-ai/**', 'queue/fal-ai/**', 'rest/storage/upload/**'],
})
