import Module from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * Imports a module that needs `next/server`, where Next.js is not installed. fal's proxy takes one thing of it,
 * `NextResponse.json`, for its own refusals; next-server.cjs has that.
 */
export async function importWithNextServer<T>(importModule: () => Promise<T>): Promise<T> {
  const resolver = Module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string }
  const resolve = resolver._resolveFilename
  const standIn = fileURLToPath(new URL('next-server.cjs', import.meta.url))
  resolver._resolveFilename = (request, ...rest) =>
    request === 'next/server' ? standIn : resolve.call(resolver, request, ...rest)
  try {
    return await importModule()
  } finally {
    resolver._resolveFilename = resolve
  }
}

export type RouteHandlers = Readonly<Record<string, (request: Request) => Promise<Response>>>

/** Calls a `route.ts` as Next.js's app router does. */
export async function answerAsRoute(handlers: RouteHandlers, request: Request): Promise<Response> {
  return (await handlers[request.method]?.(request)) ?? new Response(null, { status: 405 })
}
