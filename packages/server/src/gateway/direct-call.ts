import type { ChannelEvent, ConversationOptions } from '../channel/direct-channel.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { toErrorAnswer } from '../errors/error-answer.ts'
import { stringifyJson } from '../protocol/json-text.ts'
import type { Outcome, Submission } from '../queue/request-queue.ts'
import { type JsonInput, parseInput } from '../validation/json-input.ts'
import { accountOf } from './authentication.ts'
import type { GatewayContext, GatewayDependencies } from './dependencies.ts'
import { requireRoom } from './disk-use.ts'
import { requireEndpoint } from './endpoint-lookup.ts'
import { publicUrlsOf } from './public-urls.ts'
import { readBody } from './request-body.ts'
import { describeSubmission } from './submission.ts'

export type ResultEvent = Extract<ChannelEvent, { type: 'result' }>

/** A call that is answered over the direct channel: a sync run or a stream. */
export interface DirectCall {
  readonly endpoint: EndpointSchema
  readonly input: JsonInput
  /** Of a body that is too long to be kept, whose text is empty. */
  readonly inputBytes?: number
  readonly submission: Submission
  readonly acceptedAt: Date
}

/** @throws WireError 507 where there is no room for what it makes, 404 for an unknown id, 400, 413 or 422 for what cannot be read */
export async function readDirectCall(
  dependencies: GatewayDependencies,
  c: GatewayContext,
  id: string,
): Promise<DirectCall> {
  const { catalogue, config } = dependencies
  requireRoom(dependencies.disk?.())
  const endpoint = requireEndpoint(catalogue, id)
  const received = await readInput(dependencies, c, endpoint)
  const filesUrl = publicUrlsOf(c.req, config.publicUrl).cdn
  return {
    endpoint,
    ...received,
    submission: describeSubmission(c, {
      requestId: c.get('requestId'),
      endpoint,
      input: received.input.text,
      filesUrl,
    }),
    acceptedAt: new Date(),
  }
}

type ReceivedInput = Pick<DirectCall, 'input' | 'inputBytes'>

/** The body, or for GET the query, where the JS client puts the input: every value is text there and coerced. */
async function readInput(
  { config, bounds }: GatewayDependencies,
  c: GatewayContext,
  { input: schema }: EndpointSchema,
): Promise<ReceivedInput> {
  if (c.req.method === 'GET') return { input: parseInput(stringifyJson(c.req.query())) }
  const data = await readBody(c.req.raw, config.limits.jsonBodyBytes, { lease: c.var.body, env: c.env })
  const bytes = data.byteLength
  const mostText = config.storage.maxRecordedCharacters
  const fields = Object.keys(schema.shape)
  const body = { data, contentType: c.req.header('content-type'), wanted: 'value', mostText, fields } as const
  const input = await bounds.inputs.readBody(accountOf(c), body, c.req.raw.signal)
  return { input, ...(input.text === '' && { inputBytes: bytes }) }
}

export function conversationOptions(submission: Submission, streaming: boolean): ConversationOptions {
  const { requestId, endpointId, filesUrl, keyId, account, objectLifecycle, runnerHint, startTimeoutSeconds } =
    submission
  return {
    requestId,
    endpointId,
    filesUrl,
    account,
    streaming,
    inlineBytes: false,
    ...(keyId === undefined ? {} : { keyId }),
    ...(objectLifecycle === undefined ? {} : { objectLifecycle }),
    ...(runnerHint === undefined ? {} : { runnerHint }),
    ...(startTimeoutSeconds === undefined ? {} : { startTimeoutSeconds }),
  }
}

/** A result of the direct channel as it is answered and kept. @param body the output as JSON, where the caller has it already */
export function outcomeOf(
  { status, headers, output, inferenceSeconds }: ResultEvent,
  body: string = stringifyJson(output),
): Outcome {
  return { status, headers, body, ...(inferenceSeconds !== undefined && { inferenceSeconds }) }
}

/** What went wrong with a call, as it is answered and kept. */
export function failedOutcome(error: unknown): Outcome {
  const { status, headers, body } = toErrorAnswer(error)
  return { status, headers, body: stringifyJson(body) }
}

/** A result, or an error that the runner answered with, as the response. */
export function outcomeResponse({ status, headers, body }: Outcome): Response {
  return new Response(body, { status, headers: { 'content-type': 'application/json', ...headers } })
}

/** Keeps the call for the listings, and is no worse for it going wrong. */
export function recordCall(
  { queue, log }: GatewayDependencies,
  { submission, acceptedAt, inputBytes }: DirectCall,
  outcome: Outcome,
): void {
  queue
    .record({
      ...submission,
      ...(inputBytes !== undefined && { inputBytes }),
      acceptedAt,
      startedAt: acceptedAt,
      completedAt: new Date(),
      outcome,
    })
    .catch((error) => {
      log.warn({ err: error, requestId: submission.requestId }, 'run was answered but not recorded')
    })
}
