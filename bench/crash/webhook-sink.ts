import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Ledger } from './ledger.ts'

interface WebhookBody {
  readonly request_id: string
  readonly status: string
  readonly payload: { readonly token?: string; readonly execution?: string }
}

export interface WebhookSink {
  readonly url: string
  close(): void
}

/** Receives every webhook and enters it in the ledger before it answers 200. */
export async function listenForWebhooks(ledger: Ledger): Promise<WebhookSink> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { request_id: requestId, status, payload } = JSON.parse(Buffer.concat(chunks).toString()) as WebhookBody
    ledger.deliver(requestId, { ...payload, status: status === 'OK' ? 200 : 500 })
    response.writeHead(200).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
