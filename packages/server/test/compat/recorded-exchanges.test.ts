import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerForFal } from '../fakes/fal-hosts.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'
import { type Exception, expectRecorded, type RecordedAnswer, readAnswer } from './recorded-exchange.ts'

// Requests whose answers by the live service are on public record (2025), sent to fal's own host names. Answers that a
// model makes (result, stream) are held against the record in real-runner.test.ts, where one draws.

const JSON_UTF8 = 'application/json; charset=utf-8'
const DRAW = 'fal-ai/fast-lcm-diffusion'
const REDRAW = `${DRAW}/image-to-image`

const ID_EVERYWHERE: Exception = {
  at: 'x-fal-request-id',
  kind: 'added',
  reason: 'The JS client shows it as requestId, and the Python client repeats a 502 to 504 without it',
}
const MESSAGE: Exception = {
  at: 'message',
  kind: 'added',
  reason: 'The JS client shows body.message as the error, and else only the words of the status',
}
const NOT_BILLED: Exception = {
  at: 'x-fal-billable-units',
  kind: 'added',
  reason: 'Documented for refused inputs; these records kept no headers',
}
let server: WholeServer
let restore: () => Promise<void>

beforeAll(async () => {
  server = await startWholeServer({ tls: true })
  restore = answerForFal(server)
})

afterAll(async () => {
  await restore()
  await server.close()
})

function call(method: string, url: string, body?: unknown, key = server.key): Promise<Response> {
  return fetch(url, {
    method,
    headers: { authorization: `Key ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

/** Works until it is cancelled. */
const ENDLESS = { steps: 100_000, ms: 5 }

async function submit(path: string, input: unknown): Promise<string> {
  return (await textsOf(call('POST', `https://queue.fal.run/${path}`, input))).request_id ?? ''
}

const requestUrl = (application: string, id: string) => `https://queue.fal.run/${application}/requests/${id}`

const cancel = (application: string, id: string) => call('PUT', `${requestUrl(application, id)}/cancel`, {})

/** The texts of a JSON object. */
async function textsOf(response: Promise<Response>): Promise<Record<string, string>> {
  return (await (await response).json()) as Record<string, string>
}

async function reaches(state: string, application: string, id: string): Promise<void> {
  while ((await textsOf(call('GET', `${requestUrl(application, id)}/status`))).status !== state);
}

const URLS =
  '"response_url": "https://queue.fal.run/fal-ai/flux/requests/1", "status_url": "https://queue.fal.run/fal-ai/flux/requests/1/status", "cancel_url": "https://queue.fal.run/fal-ai/flux/requests/1/cancel"'

const SUBMITTED: RecordedAnswer = {
  status: 200,
  contentType: JSON_UTF8,
  falHeaders: ['x-fal-request-id'],
  body: `{"status": "IN_QUEUE", "request_id": "1", ${URLS}, "logs": null, "metrics": {}, "queue_position": 0}`,
}

const queued = (logs: 'null' | '[]'): RecordedAnswer => ({
  status: 202,
  contentType: JSON_UTF8,
  falHeaders: [],
  body: `{"status": "IN_QUEUE", "request_id": "1", ${URLS}, "logs": ${logs}, "metrics": {}, "queue_position": 0}`,
})

const running = (logs: 'null' | '[]'): RecordedAnswer => ({
  status: 202,
  contentType: JSON_UTF8,
  falHeaders: [],
  body: `{"status": "IN_PROGRESS", "request_id": "1", ${URLS}, "logs": ${logs}, "metrics": {}}`,
})

describe('the queue', () => {
  test('submit, to a path of an application: the URLs drop it', async () => {
    const answer = await readAnswer(await call('POST', `https://queue.fal.run/${REDRAW}`, { prompt: 'a king' }))
    expectRecorded(answer, SUBMITTED)
    const { request_id, ...body } = JSON.parse(answer.body)
    expect(answer.headers.get('x-fal-request-id')).toBe(request_id)
    const base = `https://queue.fal.run/${DRAW}/requests/${request_id}`
    expect(body).toMatchObject({ response_url: base, status_url: `${base}/status`, cancel_url: `${base}/cancel` })
  })

  test('status of a running and of a waiting request, with and without logs', async () => {
    const busy = await Promise.all([1, 2, 3, 4].map(() => submit('fake/steps', ENDLESS)))
    await Promise.all(busy.map((id) => reaches('IN_PROGRESS', 'fake/steps', id)))
    const waiting = await submit('fake/steps', ENDLESS)
    const status = async (id: string | undefined, query = '') =>
      readAnswer(await call('GET', `${requestUrl('fake/steps', id ?? '')}/status${query}`))
    expectRecorded(await status(waiting), queued('null'), [ID_EVERYWHERE])
    expectRecorded(await status(waiting, '?logs=1'), queued('[]'), [ID_EVERYWHERE])
    expectRecorded(await status(busy[0]), running('null'), [ID_EVERYWHERE])
    expectRecorded(await status(busy[0], '?logs=1'), running('[]'), [ID_EVERYWHERE])
    await Promise.all([waiting, ...busy].map((id) => cancel('fake/steps', id)))
  })

  test('status of a finished request', async () => {
    const id = await submit(DRAW, { prompt: 'a king' })
    await reaches('COMPLETED', DRAW, id)
    const body = `{"status": "COMPLETED", "request_id": "1", ${URLS}, "logs": null, "metrics": {"inference_time": 1.378}}`
    expectRecorded(
      await readAnswer(await call('GET', `${requestUrl(DRAW, id)}/status`)),
      { status: 200, contentType: JSON_UTF8, falHeaders: [], body },
      [ID_EVERYWHERE],
    )
  })

  test('cancel', async () => {
    const id = await submit('fake/steps', ENDLESS)
    expectRecorded(
      await readAnswer(await cancel('fake/steps', id)),
      { status: 202, contentType: JSON_UTF8, falHeaders: [], body: '{"status": "CANCELLATION_REQUESTED"}' },
      [ID_EVERYWHERE],
    )
  })

  test('the result of a request that is still running', async () => {
    const id = await submit('fake/steps', ENDLESS)
    const answer = await readAnswer(await call('GET', requestUrl('fake/steps', id)))
    await cancel('fake/steps', id)
    const body = '{"detail":"Request is still in progress"}'
    const recorded = { status: 400, contentType: 'application/json', falHeaders: ['x-fal-request-id'], body }
    expectRecorded(answer, recorded, [MESSAGE])
    expect(JSON.parse(answer.body).detail).toBe(JSON.parse(body).detail)
  })

  test('the webhook of a refused input', async () => {
    const id = await submit(`${DRAW}?fal_webhook=https%3A%2F%2Fhooks.invalid%2F`, { prompt: [1] })
    await reaches('COMPLETED', DRAW, id)
    const row = await server.stores.database.read((query) =>
      query.selectFrom('webhook_deliveries').select('payload').where('request_id', '=', id).executeTakeFirstOrThrow(),
    )
    expect(JSON.parse(row.payload)).toMatchObject({
      request_id: id,
      gateway_request_id: id,
      status: 'ERROR',
      error: 'Unexpected status code: 422',
      payload: { detail: [{ loc: ['body', 'prompt'] }] },
    })
  })
})

/** Of `POST fal.run/…`; these records keep status and body alone. */
const REFUSED: readonly (readonly [string, unknown, string])[] = [
  [
    'a field is missing',
    {},
    '{"detail":[{"loc":["body","prompt"],"msg":"field required","type":"value_error.missing"}]}',
  ],
  [
    'a field is of another type',
    { prompt: {} },
    '{"detail":[{"loc":["body","prompt"],"msg":"str type expected","type":"type_error.str"}]}',
  ],
]

describe('refused inputs', () => {
  test.each(REFUSED)('%s', async (_what, input, body) => {
    const answer = await readAnswer(await call('POST', `https://fal.run/${DRAW}`, input))
    const recorded = { status: 422, contentType: 'application/json', falHeaders: ['x-fal-request-id'], body }
    expectRecorded(answer, recorded, [MESSAGE, NOT_BILLED])
    expect(JSON.parse(answer.body).detail).toEqual(JSON.parse(body).detail)
  })

  test('a name that is none of the sizes', async () => {
    const answer = await readAnswer(await call('POST', `https://fal.run/${DRAW}`, { prompt: 'x', image_size: 'huge' }))
    expect(answer.status).toBe(422)
    const items: { msg: string; type: string }[] = JSON.parse(answer.body).detail
    const item = items.find(({ type }) => type.startsWith('value_error.const') || type === 'type_error.enum')
    expect(item?.msg).toMatch(/permitted: 'square_hd', 'square', /)
  })

  test('a file that cannot be fetched', async () => {
    const answer = await readAnswer(
      await call('POST', `https://fal.run/${REDRAW}`, { prompt: 'x', image_url: 'https://nowhere.invalid/x.png' }),
    )
    expectRecorded(
      answer,
      {
        status: 422,
        contentType: 'application/json',
        falHeaders: ['x-fal-request-id', 'x-fal-billable-units'],
        body: '{"detail":[{"loc":["body","image_url"],"msg":"Failed to download the file. Please check if the URL is accessible and try again.","type":"file_download_error","url":"https://docs.fal.ai/errors#file_download_error","input":"https://x"}]}',
      },
      [MESSAGE],
    )
    expect(answer.headers.get('x-fal-billable-units')).toBe('0')
    expect(JSON.parse(answer.body).detail[0]).toMatchObject({
      loc: ['body', 'image_url'],
      // The reason follows in brackets.
      msg: expect.stringMatching(
        /^Failed to download the file\. Please check if the URL is accessible and try again\./,
      ),
      input: 'https://nowhere.invalid/x.png',
    })
  })
})

describe('around it', () => {
  test('a wrong key', async () => {
    const body = '{"detail": "No user found for Key ID and Secret"}'
    const recorded = { status: 401, contentType: 'application/json', falHeaders: ['x-fal-request-id'], body }
    const answer = await readAnswer(await call('POST', `https://fal.run/${DRAW}`, { prompt: 'x' }, 'who:ever'))
    expectRecorded(answer, recorded, [MESSAGE])
    expect(JSON.parse(answer.body).detail).toBe(JSON.parse(body).detail)
  })

  test('a path that names no application', async () => {
    const answer = await readAnswer(await call('POST', 'https://fal.run/fal-ai', {}))
    const recorded = { status: 404, contentType: 'text/plain; charset=utf-8', falHeaders: [], body: '404: Not Found' }
    expectRecorded(answer, recorded, [ID_EVERYWHERE])
    expect(answer.body).toBe(recorded.body)
  })

  test('a file', async () => {
    const { upload_url = '', file_url = '' } = await textsOf(
      call('POST', 'https://rest.fal.ai/storage/upload/initiate', { file_name: 'a.png', content_type: 'image/png' }),
    )
    await fetch(upload_url, { method: 'PUT', body: 'bytes', headers: { 'content-type': 'image/png' } })
    const response = await fetch(file_url)
    expect(response.status).toBe(200)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('cache-control')).toContain('max-age=86400')
    await response.text()
  })

  test('the second page of the models', async () => {
    const pages = [await readAnswer(await fetch('https://api.fal.ai/v1/models?limit=2'))]
    const { next_cursor } = JSON.parse(pages[0]?.body ?? '')
    expect(next_cursor).toBe(Buffer.from('2').toString('base64').replace(/=+$/, ''))
    pages.push(await readAnswer(await fetch(`https://api.fal.ai/v1/models?limit=2&cursor=${next_cursor}`)))
    for (const page of pages) {
      expect(page.headers.get('access-control-allow-origin')).toBe('*')
      expect(Object.keys(JSON.parse(page.body))).toEqual(['models', 'next_cursor', 'has_more'])
    }
    const [first, second] = pages.map((page) => JSON.parse(page.body).models)
    expect(first).toHaveLength(2)
    expect(second[0].endpoint_id).not.toBe(first[0].endpoint_id)
  })
})
