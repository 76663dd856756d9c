import { Hono } from 'hono'
import type { ChannelEvent, DirectSession, SessionOptions } from '../../channel/direct-channel.ts'
import type { EndpointSchema } from '../../endpoints/endpoint.ts'
import { toErrorAnswer } from '../../errors/error-answer.ts'
import { REQUEST_ID } from '../../protocol/headers.ts'
import { stringifyJson } from '../../protocol/json-text.ts'
import { readJsonBody } from '../../validation/request-body.ts'
import { validatePythonValue } from '../../validation/validate-input.ts'
import { requireKeyOrToken } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { requireEndpoint } from '../endpoint-lookup.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { readBody } from '../request-body.ts'
import { eventStreamResponse } from '../server-sent-events.ts'
import { describeSubmission } from '../submission.ts'
import { SURFACE_PREFIX } from '../surface.ts'
import { type StreamBeginning, WorkStream } from '../work-stream.ts'

const STREAM_PATH = /^(.+)\/stream\/?$/

/**
 * `POST /{id}/stream`: intermediate outputs as server-sent events, the final output last, then the end of the
 * connection. An error before the first output is an ordinary JSON error; after it, an event that holds the error's body.
 * The request's `Accept` is not looked at: proxies between the clients and here replace it. Mounted under `/run`.
 */
export function streamRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  const authenticate = requireKeyOrToken(dependencies, SURFACE_PREFIX.run)
  routes.on(['GET', 'POST'], '/:id{.+/stream/?}', authenticate, async (c) => {
    const id = STREAM_PATH.exec(c.req.path.slice(SURFACE_PREFIX.run.length))?.[1] ?? ''
    const endpoint = requireEndpoint(dependencies.catalogue, id)
    const input = await readInput(dependencies, c, endpoint)
    return await stream(dependencies, c, sessionOptions(dependencies, c, endpoint), input)
  })
  return routes
}

/** @throws WireError 422 */
async function readInput(
  { config }: GatewayDependencies,
  c: GatewayContext,
  endpoint: EndpointSchema,
): Promise<unknown> {
  if (c.req.method === 'GET') return validatePythonValue(endpoint.input, c.req.query())
  const bytes = await readBody(c.req.raw, config.limits.jsonBodyBytes)
  return validatePythonValue(endpoint.input, readJsonBody(bytes, c.req.header('content-type')).value)
}

function sessionOptions({ config }: GatewayDependencies, c: GatewayContext, endpoint: EndpointSchema): SessionOptions {
  const filesUrl = publicUrlsOf(c.req, config.publicUrl).cdn
  const call = describeSubmission(c, { requestId: c.var.requestId, endpoint, input: '', filesUrl })
  const { requestId, endpointId, keyId, objectLifecycle, runnerHint, startTimeoutSeconds } = call
  return {
    requestId,
    endpointId,
    filesUrl,
    streaming: true,
    inlineBytes: false,
    ...(keyId === undefined ? {} : { keyId }),
    ...(objectLifecycle === undefined ? {} : { objectLifecycle }),
    ...(runnerHint === undefined ? {} : { runnerHint }),
    ...(startTimeoutSeconds === undefined ? {} : { startTimeoutSeconds }),
  }
}

async function stream(
  dependencies: GatewayDependencies,
  c: GatewayContext,
  options: SessionOptions,
  input: unknown,
): Promise<Response> {
  const leaving = new AbortController()
  const session = await dependencies.channel.open(options)
  const work = new WorkStream(session.send(input, AbortSignal.any([c.req.raw.signal, leaving.signal])))
  try {
    const beginning = await work.begin()
    if (beginning.kind === 'streaming') return streamOutputs(dependencies, c, { work, session, leaving, beginning })
    session.close()
    return resultResponse(beginning.result)
  } catch (error) {
    session.close()
    throw error
  }
}

interface BegunStream {
  readonly work: WorkStream
  readonly session: DirectSession
  /** Aborted when the reader leaves. */
  readonly leaving: AbortController
  readonly beginning: Extract<StreamBeginning, { kind: 'streaming' }>
}

function streamOutputs(
  { config, metrics }: GatewayDependencies,
  c: GatewayContext,
  { work, session, leaving, beginning }: BegunStream,
): Response {
  const headers = { [REQUEST_ID]: c.var.requestId, ...beginning.headers }
  const { keepAliveSeconds } = config.limits
  metrics.openStreams.inc({ kind: 'output' })
  return eventStreamResponse({ signal: c.req.raw.signal, keepAliveSeconds, headers }, async (send, gone) => {
    gone.addEventListener('abort', () => leaving.abort(), { once: true })
    try {
      for await (const output of work.outputs()) send(stringifyJson(output))
    } catch (error) {
      // The reader's own leaving is no news to anyone.
      if (!gone.aborted) send(stringifyJson(errorEvent(error)))
    } finally {
      session.close()
      metrics.openStreams.dec({ kind: 'output' })
    }
  })
}

function resultResponse({ status, headers, output }: Extract<ChannelEvent, { type: 'result' }>): Response {
  return new Response(stringifyJson(output), { status, headers: { 'content-type': 'application/json', ...headers } })
}

/** There is no protocol for an error in mid-stream; fal's applications send an event with an `error`. */
function errorEvent(error: unknown): unknown {
  const { status, body } = toErrorAnswer(error)
  return { error: body.message, status_code: status, ...body }
}
