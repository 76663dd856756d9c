import { type Answer, type Caller, callAs } from './callers.ts'
import type { Row, Stage, Surface } from './rows.ts'

const TEXT = { content_type: 'text/plain', file_name: 'a.txt' }

/** A call that begins with one of the owner's: an upload that is underway, whose next step the caller tries. */
function next(what: string, route: string, begin: (stage: Stage) => Promise<string>, step: Step): Row {
  return {
    what,
    routes: [route],
    isPrivate: true,
    call: async (stage, caller) => step(stage, caller, await begin(stage)),
  }
}

type Step = (stage: Stage, caller: Caller, url: string) => Promise<Answer>

async function initiate(stage: Stage, path: string): Promise<string> {
  const { text } = await callAs(stage.owner, stage.url, path, { method: 'POST', body: TEXT })
  return (JSON.parse(text) as { upload_url: string }).upload_url
}

/** `Bearer …` of a CDN token of the caller, or what the caller shows where it gets none. */
async function cdnToken(stage: Stage, caller: Caller): Promise<{ authorization?: string }> {
  const { status, text } = await callAs(caller, stage.url, '/rest/storage/auth/token', { method: 'POST', body: {} })
  return status === 200 ? { authorization: `Bearer ${(JSON.parse(text) as { token: string }).token}` } : {}
}

/** The URL of the first part of an upload that the account began with a CDN token. */
async function beginParts(stage: Stage): Promise<string> {
  const call = { method: 'POST', ...(await cdnToken(stage, stage.owner)) }
  const { text } = await callAs(stage.owner, stage.url, '/cdn/files/upload/multipart', call)
  const { access_url, uploadId } = JSON.parse(text) as { access_url: string; uploadId: string }
  return `${access_url}/multipart/${uploadId}`
}

const withToken =
  (path: string, method: string, body: unknown): Step =>
  async (stage, caller, url) =>
    callAs(caller, stage.url, `${url}${path}`, { method, body, ...(await cdnToken(stage, caller)) })

/** A signed URL needs nothing else: what the caller shows is not looked at. */
const asAnyone =
  (path: string, method: string, body: unknown): Step =>
  async (stage, caller, url) => {
    const target = new URL(url)
    target.pathname += path
    return callAs(caller, stage.url, target.href, { method, body })
  }

function file(what: string, which: keyof Stage['fileUrls']): Row {
  return {
    what,
    routes: ['GET /cdn/files/:folder/:name'],
    call: (stage, caller) => callAs(caller, stage.url, stage.fileUrls[which]),
  }
}

function aboutFile(what: string, route: string, path: string, method = 'GET', body?: object): Row {
  return {
    what,
    routes: [route],
    isPrivate: true,
    call: (stage, caller) =>
      callAs(caller, stage.url, `${path}?url=${encodeURIComponent(stage.fileUrls.open)}`, { method, body }),
  }
}

const parts = { parts: [{ partNumber: 1, etag: 'x' }] }

export const STORAGE: Surface = {
  name: 'Files',
  rows: [
    {
      what: 'begin an upload',
      routes: ['POST /rest/storage/upload/initiate', 'POST /rest/storage/upload/initiate-multipart'],
      call: (stage, caller) =>
        callAs(caller, stage.url, '/rest/storage/upload/initiate', { method: 'POST', body: TEXT }),
    },
    {
      what: 'get a CDN token',
      routes: ['POST /rest/storage/auth/token'],
      call: (stage, caller) => callAs(caller, stage.url, '/rest/storage/auth/token', { method: 'POST', body: {} }),
    },
    {
      ...next(
        'send the file to the signed URL of an upload of the account',
        'PUT /cdn/files/:folder/:name',
        (stage) => initiate(stage, '/rest/storage/upload/initiate'),
        asAnyone('', 'PUT', 'text'),
      ),
      isPrivate: false,
    },
    {
      ...next(
        'send a part to the signed URL of an upload of the account',
        'PUT /cdn/files/:folder/:name/:part{[0-9]+}',
        (stage) => initiate(stage, '/rest/storage/upload/initiate-multipart'),
        asAnyone('/1', 'PUT', 'text'),
      ),
      isPrivate: false,
    },
    {
      ...next(
        'complete at the signed URL, a part of it unsent',
        'POST /cdn/files/:folder/:name/complete',
        (stage) => initiate(stage, '/rest/storage/upload/initiate-multipart'),
        asAnyone('/complete', 'POST', parts),
      ),
      isPrivate: false,
    },
    {
      what: 'upload with a CDN token or key',
      routes: ['POST /cdn/files/upload', 'POST /cdn/files/upload/multipart'],
      call: async (stage, caller) =>
        callAs(caller, stage.url, '/cdn/files/upload', {
          method: 'POST',
          body: 'x',
          ...(await cdnToken(stage, caller)),
        }),
    },
    next(
      'send a part of an upload that the account began with a CDN token',
      'PUT /cdn/files/:folder/:name/multipart/:uploadId/:part{[0-9]+}',
      beginParts,
      withToken('/1', 'PUT', 'text'),
    ),
    next(
      'complete such an upload, a part of it unsent',
      'POST /cdn/files/:folder/:name/multipart/:uploadId/complete',
      beginParts,
      withToken('/complete', 'POST', parts),
    ),
    file('read a file that has no rules', 'open'),
    file('read a file whose rules forbid', 'forbidden'),
    file('read a file whose rules hide', 'hidden'),
    aboutFile('see the rules of a file', 'GET /v1/storage/files/acl', '/v1/storage/files/acl'),
    aboutFile('set the rules of a file', 'PUT /v1/storage/files/acl', '/v1/storage/files/acl', 'PUT', {}),
    aboutFile('sign a URL of a file', 'POST /v1/storage/files/sign', '/v1/storage/files/sign', 'POST', {
      expiration_seconds: 60,
    }),
  ],
}

const wholeServer = (what: string, route: string, path: string, method = 'GET', body?: object): Row => ({
  what,
  routes: [route],
  call: (stage, caller) => callAs(caller, stage.url, path, { method, body }),
})

export const SERVER: Surface = {
  name: 'The server',
  rows: [
    wholeServer('see the default lifecycle of files', 'GET /v1/storage/settings', '/v1/storage/settings'),
    wholeServer('set the default lifecycle of files', 'PUT /v1/storage/settings', '/v1/storage/settings', 'PUT', {}),
    wholeServer('list weights', 'GET /v1/darkroom/models', '/v1/darkroom/models'),
    wholeServer('pull weights, none named', 'POST /v1/darkroom/models/pull', '/v1/darkroom/models/pull', 'POST', {}),
    wholeServer('remove weights, none named', 'DELETE /v1/darkroom/models', '/v1/darkroom/models', 'DELETE'),
    wholeServer('metrics', 'GET /metrics', '/metrics'),
    wholeServer('health', 'GET /health', '/health'),
    wholeServer('readiness', 'GET /ready', '/ready'),
    wholeServer('public keys of webhooks', 'GET /.well-known/jwks.json', '/.well-known/jwks.json'),
    wholeServer('the same on the REST host', 'GET /rest/.well-known/jwks.json', '/rest/.well-known/jwks.json'),
  ],
}
