import { type Answer, type Call, type Caller, callAs, socketAs } from './callers.ts'

/** The server that is called, and what the account has on it. */
export interface Stage {
  readonly url: string
  /** A key of the account whose things the calls are about. */
  readonly owner: Caller
  readonly fileUrls: { readonly open: string; readonly forbidden: string; readonly hidden: string }
  /** A finished request of the account. */
  finished(): Promise<string>
  /** A request of the account that runs until it is cancelled. */
  running(): Promise<string>
  /** Id of a key of the account. */
  spareKey(): Promise<string>
}

export interface Row {
  readonly what: string
  /** The gateway's routes that the row is about. */
  readonly routes: readonly string[]
  /** The call is about something of the account that nobody else may know of. */
  readonly isPrivate?: boolean
  call(stage: Stage, caller: Caller): Promise<Answer>
}

export interface Surface {
  readonly name: string
  readonly rows: readonly Row[]
}

const INPUT = { steps: 1, ms: 1 }

function http(what: string, routes: string, path: string, call: Call = {}): Row {
  return { what, routes: [routes], call: (stage, caller) => callAs(caller, stage.url, path, call) }
}

/** A call about a request of the account. */
function ofRequest(what: string, route: string, path: (id: string) => string, call: Call = {}): Row {
  return {
    what,
    routes: [route],
    isPrivate: true,
    call: async (stage, caller) => callAs(caller, stage.url, path(await stage.finished()), call),
  }
}

const RUN: Surface = {
  name: 'Runs, streams and sockets',
  rows: [
    http('run', 'POST /run/*', '/run/fake/steps', { method: 'POST', body: INPUT }),
    http('run with the input in the query', 'GET /run/*', '/run/fake/steps?steps=1'),
    http('stream (SSE)', 'POST /run/:id{.+/stream/?}', '/run/fake/steps/stream', { method: 'POST', body: INPUT }),
    http('stream with the input in the query (SSE)', 'GET /run/:id{.+/stream/?}', '/run/fake/steps/stream?steps=1'),
    {
      what: 'realtime (WebSocket)',
      routes: [],
      call: (stage, caller) => socketAs(caller, stage.url, '/run/fake/steps/realtime', JSON.stringify(INPUT), 1),
    },
    {
      what: 'run (HTTP over WebSocket)',
      routes: [],
      call: (stage, caller) => socketAs(caller, stage.url, '/ws/fake/steps', JSON.stringify(INPUT), 3),
    },
    {
      what: 'a private file of the account as an input',
      routes: [],
      isPrivate: true,
      call: async (stage, caller) => {
        const body = { image_url: stage.fileUrls.forbidden }
        return callAs(caller, stage.url, '/run/fake/read', { method: 'POST', body })
      },
    },
  ],
}

/** Cancels a request that runs; where the caller may not, the account does it after. */
async function cancelAs(stage: Stage, cancel: (id: string) => Promise<Answer>): Promise<Answer> {
  const id = await stage.running()
  const answer = await cancel(id)
  const path = `/queue/fake/steps/requests/${id}/cancel`
  if (answer.status !== 202) await callAs(stage.owner, stage.url, path, { method: 'PUT', body: {} })
  return answer
}

const QUEUE: Surface = {
  name: 'Queue',
  rows: [
    http('submit', 'POST /queue/*', '/queue/fake/steps', { method: 'POST', body: INPUT }),
    ofRequest('status', 'GET /queue/*', (id) => `/queue/fake/steps/requests/${id}/status`),
    ofRequest('status with logs', 'GET /queue/*', (id) => `/queue/fake/steps/requests/${id}/status?logs=1`),
    ofRequest('status stream (SSE)', 'GET /queue/*', (id) => `/queue/fake/steps/requests/${id}/status/stream?logs=1`),
    ofRequest('result', 'GET /queue/*', (id) => `/queue/fake/steps/requests/${id}`),
    ofRequest('result, by the path of another application', 'GET /queue/*', (id) => `/queue/fake/echo/requests/${id}`),
    {
      what: 'cancel',
      routes: ['PUT /queue/*'],
      isPrivate: true,
      call: (stage, caller) =>
        cancelAs(stage, (id) =>
          callAs(caller, stage.url, `/queue/fake/steps/requests/${id}/cancel`, { method: 'PUT', body: {} }),
        ),
    },
  ],
}

/** The target carries the token, as the clients' own URL would. */
function viaProxy(stage: Stage, caller: Caller, target: string, call: Call = {}): Promise<Answer> {
  const url = new URL(target)
  if (caller.token !== undefined) url.searchParams.set('fal_jwt_token', caller.token)
  return callAs(caller, stage.url, '/api/fal/proxy', { ...call, headers: { 'x-fal-target-url': url.href } })
}

const PROXY: Surface = {
  name: "Proxy route of fal's clients",
  rows: [
    {
      what: 'run',
      routes: ['POST /api/fal/proxy'],
      call: (stage, caller) => viaProxy(stage, caller, 'https://fal.run/fake/steps', { method: 'POST', body: INPUT }),
    },
    {
      what: 'result',
      routes: ['GET /api/fal/proxy'],
      isPrivate: true,
      call: async (stage, caller) =>
        viaProxy(stage, caller, `https://queue.fal.run/fake/steps/requests/${await stage.finished()}`),
    },
    {
      what: 'cancel',
      routes: ['PUT /api/fal/proxy', 'DELETE /api/fal/proxy'],
      isPrivate: true,
      call: (stage, caller) =>
        cancelAs(stage, (id) =>
          viaProxy(stage, caller, `https://queue.fal.run/fake/steps/requests/${id}/cancel`, {
            method: 'PUT',
            body: {},
          }),
        ),
    },
  ],
}

const PLATFORM: Surface = {
  name: 'Platform API',
  rows: [
    {
      what: "find the account's request in the listing, with payloads",
      routes: ['GET /v1/models/requests/by-endpoint'],
      isPrivate: true,
      async call(stage, caller) {
        const id = await stage.finished()
        const query = `endpoint_id=fake/steps&expand=payloads&limit=100`
        const answer = await callAs(caller, stage.url, `/v1/models/requests/by-endpoint?${query}`)
        return answer.status === 200 && !answer.text.includes(id) ? { ...answer, status: 404 } : answer
      },
    },
    ofRequest(
      'read a payload of a request',
      'GET /v1/models/requests/:requestId/payloads/:part{input|output}',
      (id) => `/v1/models/requests/${id}/payloads/output`,
    ),
    ofRequest(
      'erase the payloads of a request',
      'DELETE /v1/models/requests/:requestId/payloads',
      (id) => `/v1/models/requests/${id}/payloads`,
      { method: 'DELETE' },
    ),
    http('usage of the own account', 'GET /v1/models/usage', '/v1/models/usage'),
    http('models', 'GET /v1/models', '/v1/models'),
    http('picture of a model', 'GET /v1/models/thumbnail.svg', '/v1/models/thumbnail.svg?endpoint_id=fake/steps'),
    http('prices', 'GET /v1/models/pricing', '/v1/models/pricing'),
    http('estimates', 'POST /v1/models/pricing/estimate', '/v1/models/pricing/estimate', {
      method: 'POST',
      body: { estimate_type: 'unit_price', endpoints: { 'fake/steps': { unit_quantity: 1 } } },
    }),
    http(
      'OpenAPI of an endpoint',
      'GET /api/openapi/queue/openapi.json',
      '/api/openapi/queue/openapi.json?endpoint_id=fake/steps',
    ),
    http('an endpoint as text (llms.txt)', 'GET /models/:file{.+/llms\\.txt}', '/models/fake/steps/llms.txt'),
  ],
}

const KEYS: Surface = {
  name: 'Keys and tokens',
  rows: [
    http('list the own account’s keys', 'GET /v1/keys', '/v1/keys'),
    http('make a key of the own account', 'POST /v1/keys', '/v1/keys', { method: 'POST', body: { alias: 'made' } }),
    {
      what: 'revoke a key of the account',
      routes: ['DELETE /v1/keys/:keyId'],
      isPrivate: true,
      call: async (stage, caller) =>
        callAs(caller, stage.url, `/v1/keys/${await stage.spareKey()}`, { method: 'DELETE' }),
    },
    {
      ...http('make a token', '', '/rest/tokens/', { method: 'POST', body: { allowed_apps: ['steps'] } }),
      routes: ['POST /rest/tokens', 'POST /rest/tokens/'],
    },
    {
      ...http('make a token, as documented', '', '/rest/tokens/realtime', {
        method: 'POST',
        body: { allowed_apps: ['fake/steps'], duration: 60 },
      }),
      routes: ['POST /rest/tokens/realtime', 'POST /rest/tokens/realtime/'],
    },
  ],
}

export const SURFACES = { RUN, QUEUE, PROXY, PLATFORM, KEYS }
