/**
 * A peer of `overhead.ts`: a server that reads a JSON body, waits as long as it says and answers the same bytes as the
 * gateway, without runner, validation or record. `bare` is `node:http` alone, `hono` the gateway's own web framework.
 */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { answerCpuQuestions } from './cpu-question.ts'
import { wait } from './idle-endpoint.ts'

const answer = (waitedMs: number) => ({ images: [], seed: 1, waited_ms: waitedMs })

const bare: RequestListener = (incoming, outgoing) => {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk) => chunks.push(chunk))
  incoming.on('end', async () => {
    const { wait_ms } = JSON.parse(Buffer.concat(chunks).toString())
    const body = JSON.stringify(answer(await wait(wait_ms)))
    outgoing.setHeader('content-type', 'application/json').end(body)
  })
}

const hono = new Hono().post('/run/*', async (c) => c.json(answer(await wait((await c.req.json()).wait_ms))))

const server = createServer(process.argv[2] === 'hono' ? getRequestListener(hono.fetch) : bare)
answerCpuQuestions()
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.once('disconnect', () => process.exit(0))
