import { Hono } from 'hono'
import type { DirectConversation } from '../../channel/direct-channel.ts'
import { toErrorAnswer } from '../../errors/error-answer.ts'
import { requestError } from '../../errors/errors.ts'
import { BILLABLE_UNITS, REQUEST_ID } from '../../protocol/headers.ts'
import { stringifyJson } from '../../protocol/json-text.ts'
import { validateInput } from '../../validation/validate-input.ts'
import { requireKeyOrToken } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import {
  conversationOptions,
  type DirectCall,
  failedOutcome,
  outcomeOf,
  outcomeResponse,
  readDirectCall,
  recordCall,
} from '../direct-call.ts'
import { refuseUnfetchableUrls } from '../input-urls.ts'
import { eventStreamResponse } from '../server-sent-events.ts'
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
    const call = await readDirectCall(dependencies, c, id)
    try {
      return await stream(dependencies, c, call)
    } catch (error) {
      recordCall(dependencies, call, failedOutcome(error))
      throw error
    }
  })
  return routes
}

/** @throws WireError 422, and what the channel throws before the work gave any output */
async function stream(dependencies: GatewayDependencies, c: GatewayContext, call: DirectCall): Promise<Response> {
  const input = validateInput(call.endpoint.input, call.input)
  await refuseUnfetchableUrls(dependencies, call.endpoint, input)
  const leaving = new AbortController()
  const conversation = await dependencies.channel.open(conversationOptions(call.submission, true))
  const work = new WorkStream(conversation.send(input, AbortSignal.any([c.req.raw.signal, leaving.signal])))
  try {
    const beginning = await work.begin()
    if (beginning.kind === 'streaming')
      return streamOutputs(dependencies, c, { call, work, conversation, leaving, beginning })
    conversation.close()
    const outcome = outcomeOf(beginning.result)
    recordCall(dependencies, call, outcome)
    return outcomeResponse(outcome)
  } catch (error) {
    conversation.close()
    throw error
  }
}

/** As recorded: a unit of every stream, and that its last event is what a sync run would answer. */
const HEADERS_OF_STREAMS = { [BILLABLE_UNITS]: '1', 'x-fal-sse-last-event-as-body': '1' }

interface BegunStream {
  readonly call: DirectCall
  readonly work: WorkStream
  readonly conversation: DirectConversation
  /** Aborted when the reader leaves. */
  readonly leaving: AbortController
  readonly beginning: Extract<StreamBeginning, { kind: 'streaming' }>
}

function streamOutputs(
  dependencies: GatewayDependencies,
  c: GatewayContext,
  { call, work, conversation, leaving, beginning }: BegunStream,
): Response {
  const { config, metrics } = dependencies
  const headers = { [REQUEST_ID]: c.var.requestId, ...HEADERS_OF_STREAMS, ...beginning.headers }
  const { keepAliveSeconds } = config.limits
  metrics.openStreams.inc({ kind: 'output' })
  return eventStreamResponse({ signal: c.req.raw.signal, keepAliveSeconds, headers }, async (send, gone) => {
    gone.addEventListener('abort', () => leaving.abort(), { once: true })
    try {
      let last = ''
      for await (const output of work.outputs()) {
        last = stringifyJson(output)
        await send(last)
      }
      if (work.result !== undefined) recordCall(dependencies, call, outcomeOf(work.result, last))
    } catch (error) {
      const told = gone.aborted ? requestError('client_disconnected', 'The client disconnected', error) : error
      recordCall(dependencies, call, failedOutcome(told))
      // The reader's own leaving is no news to anyone.
      if (!gone.aborted) await send(stringifyJson(errorEvent(error)))
    } finally {
      conversation.close()
      metrics.openStreams.dec({ kind: 'output' })
    }
  })
}

/** There is no protocol for an error in mid-stream; fal's applications send an event with an `error`. */
function errorEvent(error: unknown): unknown {
  const { status, body } = toErrorAnswer(error)
  return { error: body.message, status_code: status, ...body }
}
