import { afterAll, beforeAll, expect, it } from 'vitest'
import { createRealtimeTokens } from '../../src/gateway/realtime-tokens.ts'
import { createSqlKeyStore } from '../../src/gateway/sql-key-store.ts'
import { sharedSecret } from '../../src/processes/stored-settings.ts'
import { createGatewayRig } from '../fakes/gateway-rig.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'
import { type Answer, type Caller, callAs } from './callers.ts'
import { type Stage, SURFACES } from './rows.ts'
import { SERVER, STORAGE } from './storage-rows.ts'

const ALL = [...Object.values(SURFACES), STORAGE, SERVER]

let server: WholeServer
let stage: Stage
let callers: readonly Caller[]

beforeAll(async () => {
  server = await startWholeServer()
  const keys = createSqlKeyStore(server.stores.database)
  const make = async (account: string, scope: 'API' | 'ADMIN' = 'API') => {
    const { keyId, secret } = await keys.create('table', scope, account)
    return { keyId, key: `${keyId}:${secret}` }
  }
  const tokens = createRealtimeTokens(await sharedSecret(server.stores.database, 'token-secret'))
  const [ann, annToo, annBoss, bob, bobBoss, boss] = [
    await make('ann'),
    await make('ann'),
    await make('ann', 'ADMIN'),
    await make('bob'),
    await make('bob', 'ADMIN'),
    await make('default', 'ADMIN'),
  ]
  const token = (keyId: string, ...allowedApps: string[]) => tokens.mint({ keyId, allowedApps, expiresInSeconds: 600 })
  callers = [
    { name: 'nobody', isOwn: false },
    { name: 'key', key: ann.key, isOwn: true },
    { name: 'other key of the account', key: annToo.key, isOwn: true },
    { name: 'ADMIN key of the account', key: annBoss.key, isOwn: true },
    { name: 'token of the account', token: await token(ann.keyId, 'steps', 'read'), isOwn: true },
    { name: 'its token of another application', token: await token(ann.keyId, 'echo'), isOwn: false },
    { name: 'key of another account', key: bob.key, isOwn: false },
    { name: 'ADMIN key of another account', key: bobBoss.key, isOwn: false },
    { name: 'token of another account', token: await token(bob.keyId, 'steps', 'read'), isOwn: false },
    { name: 'ADMIN key of the account default', key: boss.key, isOwn: false },
  ]
  const owner: Caller = { name: 'owner', key: ann.key, isOwn: true }
  stage = {
    url: server.url,
    owner,
    fileUrls: {
      open: await upload(owner),
      forbidden: await upload(owner, { default: 'forbid' }),
      hidden: await upload(owner, { default: 'hide' }),
    },
    async finished() {
      const id = await submit(owner, { steps: 1, ms: 1 })
      await expect
        .poll(async () => (await server.stores.queue.status(id))?.state, { timeout: 10_000 })
        .toBe('completed')
      return id
    },
    running: () => submit(owner, { steps: 1_000_000, ms: 20 }),
    spareKey: async () => (await make('ann')).keyId,
  }
})
afterAll(() => server.close())

async function submit(owner: Caller, body: object): Promise<string> {
  const { text } = await callAs(owner, server.url, '/queue/fake/steps', { method: 'POST', body })
  return (JSON.parse(text) as { request_id: string }).request_id
}

async function upload(owner: Caller, acl?: object): Promise<string> {
  const headers = { 'x-fal-object-lifecycle': JSON.stringify({ ...(acl && { initial_acl: acl }) }) }
  const body = { content_type: 'text/plain', file_name: 'a.txt' }
  const call = { method: 'POST', body, headers }
  const { text } = await callAs(owner, server.url, '/rest/storage/upload/initiate', call)
  const { upload_url, file_url } = JSON.parse(text) as { upload_url: string; file_url: string }
  expect((await fetch(upload_url, { method: 'PUT', body: 'text' })).status).toBe(200)
  return file_url
}

const cell = ({ status }: Answer) => (status >= 200 && status < 300 ? 'yes' : String(status))

it('gives each caller what the table says, and nobody what is another account’s', async () => {
  const lines = [
    '# Who may do what',
    '',
    'With keys (`DARKROOM_AUTH=keys`). "yes", or the status that is answered; 400 and 422 come after the check of who calls, from a call that',
    'this table leaves incomplete or whose input is refused. "The account" is the one that made the request, file or key that a call is about;',
    'where a row is about "the own account" everybody sees their own. [Why](decisions/0018-accounts.md). Without keys everybody is the account `default`.',
    '',
    'Made by `packages/server/test/access/access.test.ts`.',
  ]
  for (const { name, rows } of ALL) {
    lines.push('', `## ${name}`, '', `| | ${callers.map((caller) => caller.name).join(' | ')} |`)
    lines.push(`|---${'|---'.repeat(callers.length)}|`)
    for (const row of rows) {
      const cells: string[] = []
      for (const caller of callers) {
        const answer = await row.call(stage, caller)
        cells.push(cell(answer))
        if (row.isPrivate === true && !caller.isOwn)
          expect([401, 403, 404, 422], `${row.what} by ${caller.name}`).toContain(answer.status)
      }
      lines.push(`| ${row.what} | ${cells.join(' | ')} |`)
    }
  }
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('../../../../docs/access.md')
}, 120_000)

it('has a row for every route', async () => {
  const rig = await createGatewayRig({ dependencies: () => ({ weights: {} as never }) })
  const registered = rig.app.routes
    // Those of every method are what a request passes on its way to a route, but for the run surface's answer to the others.
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path}`)
  await rig.close()
  const covered = new Set(ALL.flatMap(({ rows }) => rows.flatMap(({ routes }) => routes)))
  expect([...new Set(registered)].filter((route) => !covered.has(route))).toEqual([])
})
