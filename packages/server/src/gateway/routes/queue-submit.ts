import type { EndpointSchema } from '../../endpoints/endpoint.ts'
import { WireError } from '../../errors/errors.ts'
import { dumpsJson } from '../../protocol/json-text.ts'
import { queueStatusBody } from '../../protocol/queue-status.ts'
import { createRequestId } from '../../protocol/request-id.ts'
import { type RequestOptions, readRequestOptions } from '../../protocol/request-options.ts'
import type { Submission } from '../../queue/request-queue.ts'
import { readJsonText } from '../../validation/request-body.ts'
import type { GatewayContext, GatewayDependencies } from '../dependencies.ts'
import { requireEndpoint } from '../endpoint-lookup.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { readBody } from '../request-body.ts'
import { queueUrls } from './queue-urls.ts'

/**
 * Accepts a request. As on fal, only what is no JSON object is refused here: the runner validates the input, and the
 * result call tells.
 */
export async function submit(dependencies: GatewayDependencies, c: GatewayContext, id: string): Promise<Response> {
  const { config, queue, catalogue } = dependencies
  const endpoint = requireEndpoint(catalogue, id)
  const options = readRequestOptions((name) => c.req.header(name))
  const webhookUrl = readWebhookUrl(c.req.query('fal_webhook'))
  const maxQueueLength = readMaxQueueLength(c.req.query('fal_max_queue_length'))
  const bytes = await readBody(c.req.raw, config.limits.jsonBodyBytes)
  const input = readJsonText(bytes, c.req.header('content-type'))
  const urls = publicUrlsOf({ url: c.req.url, header: (name) => c.req.header(name) }, config.publicUrl)
  const requestId = createRequestId()
  const submission: Submission = {
    ...describe(endpoint, options),
    requestId,
    input,
    filesUrl: urls.cdn,
    ...(c.var.key === undefined ? {} : { keyId: c.var.key.keyId }),
    ...(webhookUrl === undefined ? {} : { webhookUrl }),
    ...(maxQueueLength === undefined ? {} : { maxQueueLength }),
  }
  const queuePosition = await queue.enqueue(submission)
  c.set('requestId', requestId)
  const body = queueStatusBody({
    state: 'IN_QUEUE',
    requestId,
    urls: queueUrls(urls.queue, endpoint.id, requestId),
    logs: null,
    queuePosition,
  })
  return new Response(dumpsJson(body), { headers: { 'content-type': 'application/json; charset=utf-8' } })
}

function describe(endpoint: EndpointSchema, options: RequestOptions) {
  return {
    endpointId: endpoint.id,
    priority: options.priority,
    retry: options.retry,
    storeIo: options.storeIo,
    ...(options.startTimeoutSeconds === undefined ? {} : { startTimeoutSeconds: options.startTimeoutSeconds }),
    ...(options.runnerHint === undefined ? {} : { runnerHint: options.runnerHint }),
    ...(options.objectLifecycle === undefined ? {} : { objectLifecycle: options.objectLifecycle }),
  }
}

function readWebhookUrl(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return text
  throw new WireError(400, `fal_webhook: expected an http or https URL, found ${text.slice(0, 200)}`)
}

function readMaxQueueLength(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const length = Number(text)
  if (Number.isInteger(length) && length >= 0) return length
  throw new WireError(400, `fal_max_queue_length: expected a whole number, found ${text.slice(0, 200)}`)
}
