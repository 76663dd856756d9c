import { Hono } from 'hono'
import type { ChannelEvent, DirectChannel, SessionOptions } from '../../channel/direct-channel.ts'
import type { EndpointSchema } from '../../endpoints/endpoint.ts'
import { toErrorAnswer } from '../../errors/error-answer.ts'
import { requestError, WireError } from '../../errors/errors.ts'
import { parseEndpointId } from '../../protocol/endpoint-id.ts'
import { REQUEST_TIMEOUT_TYPE } from '../../protocol/headers.ts'
import { stringifyJson } from '../../protocol/json-text.ts'
import type { Outcome, Submission } from '../../queue/request-queue.ts'
import { type JsonInput, readJsonBody } from '../../validation/request-body.ts'
import { parseInput, validateInput } from '../../validation/validate-input.ts'
import { requireKeyOrToken } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { requireEndpoint } from '../endpoint-lookup.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { readBody } from '../request-body.ts'
import { describeSubmission } from '../submission.ts'
import { SURFACE_PREFIX } from '../surface.ts'

/** `POST /{id}`: one input through the direct channel, answered with what the handler answered. */
export function runRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  // The live service answers a path without an application as its web framework does.
  routes.use('/*', async (c, next) => {
    if (parseEndpointId(endpointPath(c)) === undefined) return c.text('404: Not Found', 404)
    return next()
  })
  routes.use('/*', requireKeyOrToken(dependencies, SURFACE_PREFIX.run))
  routes.on(['GET', 'POST'], '/*', (c) => run(dependencies, c))
  routes.all('/*', () => {
    throw new WireError(405, 'Method Not Allowed')
  })
  return routes
}

function endpointPath(c: GatewayContext): string {
  return c.req.path.slice(SURFACE_PREFIX.run.length)
}

async function run(dependencies: GatewayDependencies, c: GatewayContext): Promise<Response> {
  const { catalogue, channel, config } = dependencies
  const endpoint = requireEndpoint(catalogue, endpointPath(c))
  const input = await readInput(dependencies, c)
  const filesUrl = publicUrlsOf(c.req, config.publicUrl).cdn
  const call = {
    submission: describeSubmission(c, { requestId: c.var.requestId, endpoint, input: input.text, filesUrl }),
    acceptedAt: new Date(),
  }
  try {
    const outcome = await work(channel, call.submission, endpoint, input, c.req.raw.signal)
    record(dependencies, call, outcome)
    return new Response(outcome.body, {
      status: outcome.status,
      headers: { 'content-type': 'application/json', ...outcome.headers },
    })
  } catch (error) {
    const { status, headers, body } = toErrorAnswer(error)
    record(dependencies, call, { status, headers, body: stringifyJson(body) })
    throw withTimeoutType(error, call.submission)
  }
}

/** The body, or for GET the query, where the JS client puts the input: every value is text there and coerced. */
async function readInput({ config }: GatewayDependencies, c: GatewayContext): Promise<JsonInput> {
  if (c.req.method === 'GET') return parseInput(stringifyJson(c.req.query()))
  return readJsonBody(await readBody(c.req.raw, config.limits.jsonBodyBytes), c.req.header('content-type'))
}

/**
 * Validated here already: a wrong input needs no runner to be refused, and the channel could not tell `2` from `2.0`.
 * @throws WireError 422, and what the channel throws
 */
async function work(
  channel: DirectChannel,
  submission: Submission,
  endpoint: EndpointSchema,
  input: JsonInput,
  signal: AbortSignal,
): Promise<Outcome> {
  const valid = validateInput(endpoint.input, input)
  const result = await converse(channel, sessionOptions(submission), valid, signal)
  const { status, headers, output, inferenceSeconds } = result
  const outcome = { status, headers, body: stringifyJson(output) }
  return inferenceSeconds === undefined ? outcome : { ...outcome, inferenceSeconds }
}

function sessionOptions(submission: Submission): SessionOptions {
  const { requestId, endpointId, filesUrl, keyId, objectLifecycle, runnerHint, startTimeoutSeconds } = submission
  return {
    requestId,
    endpointId,
    filesUrl,
    streaming: false,
    inlineBytes: false,
    ...(keyId === undefined ? {} : { keyId }),
    ...(objectLifecycle === undefined ? {} : { objectLifecycle }),
    ...(runnerHint === undefined ? {} : { runnerHint }),
    ...(startTimeoutSeconds === undefined ? {} : { startTimeoutSeconds }),
  }
}

async function converse(
  channel: DirectChannel,
  options: SessionOptions,
  input: unknown,
  signal: AbortSignal,
): Promise<Extract<ChannelEvent, { type: 'result' }>> {
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

/**
 * Keeps the call for the listings, and is no worse for it going wrong. In a turn of its own: on the embedded database the
 * write takes 0.5 ms of this thread, and a promise's turn would come before the response is written.
 */
function record(
  { queue, log }: GatewayDependencies,
  { submission, acceptedAt }: { submission: Submission; acceptedAt: Date },
  outcome: Outcome,
): void {
  const run = { ...submission, acceptedAt, startedAt: acceptedAt, completedAt: new Date(), outcome }
  setImmediate(() => {
    queue.record(run).catch((error) => {
      log.warn({ err: error, requestId: run.requestId }, 'run was answered but not recorded')
    })
  })
}

/** Clients do not repeat a call whose own start deadline ran out, if this header says so. */
function withTimeoutType(error: unknown, { startTimeoutSeconds }: Submission): unknown {
  const isStartTimeout =
    error instanceof WireError && error.errorType === 'request_timeout' && startTimeoutSeconds !== undefined
  if (!isStartTimeout || error.headers[REQUEST_TIMEOUT_TYPE] !== undefined) return error
  return new WireError(error.status, error.detail, {
    errorType: 'request_timeout',
    headers: { ...error.headers, [REQUEST_TIMEOUT_TYPE]: 'user' },
    cause: error,
  })
}
