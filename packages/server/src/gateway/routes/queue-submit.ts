import { WireError } from '../../errors/errors.ts'
import { dumpsJson } from '../../protocol/json-text.ts'
import { queueStatusBody } from '../../protocol/queue-status.ts'
import { createRequestId } from '../../protocol/request-id.ts'
import { type AddressPolicy, refusalOfHost } from '../../security/address-policy.ts'
import { accountOf } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies } from '../dependencies.ts'
import { requireRoom } from '../disk-use.ts'
import { requireEndpoint } from '../endpoint-lookup.ts'
import { refuseUnfetchableUrls } from '../input-urls.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { readBody } from '../request-body.ts'
import { describeSubmission } from '../submission.ts'
import { queueUrls } from './queue-urls.ts'

/**
 * Accepts a request. As on fal, the runner validates the input, and the result call tells; refused here is what is no JSON, and
 * URLs that nobody fetches.
 */
export async function submit(dependencies: GatewayDependencies, c: GatewayContext, id: string): Promise<Response> {
  const { config, queue, catalogue, bounds } = dependencies
  requireRoom(dependencies.disk?.())
  const endpoint = requireEndpoint(catalogue, id)
  const webhookUrl = readWebhookUrl(c.req.query('fal_webhook'), config)
  const maxQueueLength = readMaxQueueLength(c.req.query('fal_max_queue_length'))
  const data = await readBody(c.req.raw, config.limits.jsonBodyBytes, { lease: c.var.body, env: c.env })
  const fields = Object.keys(endpoint.input.shape)
  const received = { data, contentType: c.req.header('content-type'), wanted: 'text', fields } as const
  const { text, value } = await bounds.inputs.readBody(accountOf(c), received, c.req.raw.signal)
  await refuseUnfetchableUrls(dependencies, endpoint, value)
  const urls = publicUrlsOf(c.req, config.publicUrl)
  const requestId = createRequestId()
  const queuePosition = await queue.enqueue({
    ...describeSubmission(c, { requestId, endpoint, input: text, filesUrl: urls.cdn }),
    ...(webhookUrl === undefined ? {} : { webhookUrl }),
    ...(maxQueueLength === undefined ? {} : { maxQueueLength }),
  })
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

/** An address that nothing is ever sent to is told now: afterwards only the server's log would tell of it. */
function readWebhookUrl(text: string | undefined, policy: AddressPolicy): string | undefined {
  if (text === undefined || text === '') return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    throw new WireError(400, `fal_webhook: expected an http or https URL, found ${text.slice(0, 200)}`)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const refusal = refusalOfHost(host, policy)
  if (refusal !== undefined) throw new WireError(400, `fal_webhook: ${host} ${refusal}`)
  return text
}

function readMaxQueueLength(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const length = Number(text)
  if (Number.isInteger(length) && length >= 0) return length
  throw new WireError(400, `fal_max_queue_length: expected a whole number, found ${text.slice(0, 200)}`)
}
