import { Hono } from 'hono'
import type { ConversationOptions, DirectChannel } from '../../channel/direct-channel.ts'
import { requestError, WireError } from '../../errors/errors.ts'
import { parseEndpointId } from '../../protocol/endpoint-id.ts'
import { REQUEST_TIMEOUT_TYPE } from '../../protocol/headers.ts'
import type { Outcome, Submission } from '../../queue/request-queue.ts'
import { validateInput } from '../../validation/validate-input.ts'
import { requireKeyOrToken } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import {
  conversationOptions,
  type DirectCall,
  failedOutcome,
  outcomeOf,
  outcomeResponse,
  type ResultEvent,
  readDirectCall,
  recordCall,
} from '../direct-call.ts'
import { refuseUnfetchableUrls } from '../input-urls.ts'
import { SURFACE_PREFIX } from '../surface.ts'

/** `POST /{id}`: one input through the direct channel, answered with what the handler answered. */
export function runRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  // The live service answers a path without an application as its web framework does.
  routes.use('/*', async (c, next) => {
    if (parseEndpointId(endpointPath(c)) === undefined)
      return c.text('404: Not Found', 404, { 'content-type': 'text/plain; charset=utf-8' })
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
  const call = await readDirectCall(dependencies, c, endpointPath(c))
  try {
    const outcome = await work(dependencies, call, c.req.raw.signal)
    recordCall(dependencies, call, outcome)
    return outcomeResponse(outcome)
  } catch (error) {
    recordCall(dependencies, call, failedOutcome(error))
    throw withTimeoutType(error, call.submission)
  }
}

/**
 * Validated here already: a wrong input needs no runner to be refused, and the channel could not tell `2` from `2.0`.
 * @throws WireError 422, and what the channel throws
 */
async function work(
  dependencies: GatewayDependencies,
  { submission, endpoint, input }: DirectCall,
  signal: AbortSignal,
): Promise<Outcome> {
  const valid = validateInput(endpoint.input, input)
  await refuseUnfetchableUrls(dependencies, endpoint, valid)
  return outcomeOf(await converse(dependencies.channel, conversationOptions(submission, false), valid, signal))
}

async function converse(
  channel: DirectChannel,
  options: ConversationOptions,
  input: unknown,
  signal: AbortSignal,
): Promise<ResultEvent> {
  const conversation = await channel.open(options)
  try {
    for await (const event of conversation.send(input, signal)) {
      if (event.type === 'result') return event
    }
  } finally {
    conversation.close()
  }
  if (signal.aborted) throw requestError('client_disconnected', 'The client disconnected')
  throw requestError('runner_incomplete_response', 'The runner ended the conversation without a result')
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
