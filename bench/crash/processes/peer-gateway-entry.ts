/** A gateway on pg-boss, with the few calls that the bench makes. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { PEER_QUEUE, type PeerSetup, startPgBoss } from './peer-setup.ts'
import { receiveSetup, stopOnTerm } from './setup.ts'

const setup = await receiveSetup<PeerSetup>()
const boss = await startPgBoss(setup)
const server = createServer(async (request, response) => {
  try {
    const { status, body } = await answer(request)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  } catch (error) {
    response.writeHead(503).end(JSON.stringify({ detail: String(error) }))
  }
})
server.listen(setup.port, '127.0.0.1')
await once(server, 'listening')
stopOnTerm(() => boss.stop({ graceful: false }))
process.send?.({ ready: `http://127.0.0.1:${setup.port}` })

async function answer(request: IncomingMessage): Promise<{ status: number; body: object }> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const id = /\/requests\/([^/]+)/.exec(url.pathname)?.[1]
  if (id === undefined) return submit(request, url.searchParams.get('fal_webhook') ?? '')
  const job = await boss.getJobById(PEER_QUEUE, id)
  const ended = job?.state === 'completed' || job?.state === 'failed'
  if (url.pathname.endsWith('/status')) return { status: 200, body: { status: ended ? 'COMPLETED' : 'IN_PROGRESS' } }
  return { status: job?.state === 'completed' ? 200 : 500, body: job?.output ?? {} }
}

async function submit(request: IncomingMessage, webhook: string): Promise<{ status: number; body: object }> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const input = JSON.parse(Buffer.concat(chunks).toString())
  return { status: 200, body: { request_id: await boss.send(PEER_QUEUE, { ...input, webhook }, {}) } }
}
