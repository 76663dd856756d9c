import { Hono } from 'hono'
import type { ChannelEvent, SessionOptions } from '../../channel/direct-channel.ts'
import type { EndpointSchema } from '../../endpoints/endpoint.ts'
import { requestError, WireError } from '../../errors/errors.ts'
import { parseEndpointId } from '../../protocol/endpoint-id.ts'
import { REQUEST_TIMEOUT_TYPE } from '../../protocol/headers.ts'
import { stringifyJson } from '../../protocol/json-text.ts'
import { readRequestOptions } from '../../protocol/request-options.ts'
import type { PythonValue } from '../../validation/python-value.ts'
import { readJsonBody } from '../../validation/request-body.ts'
import { validatePythonValue } from '../../validation/validate-input.ts'
import { requireKeyOrToken } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { requireEndpoint } from '../endpoint-lookup.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { readBody } from '../request-body.ts'
import { SURFACE_PREFIX } from '../surface.ts'

type ResultEvent = Extract<ChannelEvent, { type: 'result' }>

/** `POST /{id}`: one input through the direct channel, answered with what the handler answered. */
export function runRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  // The live service answers a path without an application as its web framework does.
  routes.use('/*', async (c, next) => {
    if (parseEndpointId(endpointPath(c)) === undefined) return c.text('404: Not Found', 404)
    return next()
  })
  routes.use('/*', requireKeyOrToken(dependencies, SURFACE_PREFIX.run))
  routes.on(['GET', 'POST'], '/*', async (c) => {
    const endpoint = requireEndpoint(dependencies.catalogue, endpointPath(c))
    const input = validatePythonValue(endpoint.input, await readInput(dependencies, c))
    return run(dependencies, c, endpoint, input)
  })
  routes.all('/*', () => {
    throw new WireError(405, 'Method Not Allowed')
  })
  return routes
}

function endpointPath(c: GatewayContext): string {
  return c.req.path.slice(SURFACE_PREFIX.run.length)
}

/** The body, or for GET the query, where the JS client puts the input: every value is text there and coerced. */
async function readInput({ config }: GatewayDependencies, c: GatewayContext): Promise<PythonValue> {
  if (c.req.method === 'GET') return c.req.query()
  return readJsonBody(await readBody(c.req.raw, config.limits.jsonBodyBytes), c.req.header('content-type'))
}

async function run(
  dependencies: GatewayDependencies,
  c: GatewayContext,
  endpoint: EndpointSchema,
  input: unknown,
): Promise<Response> {
  const options = sessionOptions(dependencies, c, endpoint)
  try {
    const result = await work(dependencies, options, input, c.req.raw.signal)
    return new Response(stringifyJson(result.output), {
      status: result.status,
      headers: { 'content-type': 'application/json', ...result.headers },
    })
  } catch (error) {
    throw withTimeoutType(error, options)
  }
}

function sessionOptions({ config }: GatewayDependencies, c: GatewayContext, endpoint: EndpointSchema): SessionOptions {
  const options = readRequestOptions((name) => c.req.header(name))
  const urls = publicUrlsOf({ url: c.req.url, header: (name) => c.req.header(name) }, config.publicUrl)
  return {
    requestId: c.var.requestId,
    endpointId: endpoint.id,
    filesUrl: urls.cdn,
    streaming: false,
    inlineBytes: false,
    ...(c.var.key === undefined ? {} : { keyId: c.var.key.keyId }),
    ...(options.objectLifecycle === undefined ? {} : { objectLifecycle: options.objectLifecycle }),
    ...(options.runnerHint === undefined ? {} : { runnerHint: options.runnerHint }),
    ...(options.startTimeoutSeconds === undefined ? {} : { startTimeoutSeconds: options.startTimeoutSeconds }),
  }
}

async function work(
  { channel }: GatewayDependencies,
  options: SessionOptions,
  input: unknown,
  signal: AbortSignal,
): Promise<ResultEvent> {
  const session = await channel.open(options)
  try {
    for await (const event of session.send(input, signal)) {
      if (event.type === 'result') return event
    }
  } finally {
    session.close()
  }
  if (signal.aborted) throw requestError('client_disconnected', 'The client disconnected')
  throw requestError('runner_incomplete_response', 'The runner ended the session without a result')
}

/** Clients do not repeat a call whose own start deadline ran out, if this header says so. */
function withTimeoutType(error: unknown, options: SessionOptions): unknown {
  const isStartTimeout =
    error instanceof WireError && error.errorType === 'request_timeout' && options.startTimeoutSeconds !== undefined
  if (!isStartTimeout || error.headers[REQUEST_TIMEOUT_TYPE] !== undefined) return error
  return new WireError(error.status, error.detail, {
    errorType: 'request_timeout',
    headers: { ...error.headers, [REQUEST_TIMEOUT_TYPE]: 'user' },
    cause: error,
  })
}
