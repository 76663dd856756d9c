import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedWebhook {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What a receiver does with a message: a status, more headers, or no answer at all. */
export type Answer = { readonly status: number; readonly headers?: Record<string, string> } | 'silence'

/** A webhook receiver on loopback that keeps what it gets. */
export class WebhookReceiver {
  readonly received: ReceivedWebhook[] = []
  /** Answers by message, in order of arrival; 200 unless replaced. */
  answer: (message: ReceivedWebhook) => Answer = () => ({ status: 200 })
  readonly #server: Server
  #port = 0

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const message = { url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) }
      const answer = this.answer(message)
      this.received.push(message)
      if (answer !== 'silence') response.writeHead(answer.status, answer.headers).end('{"ok":true}')
    })
  }

  /** Listens on a free port at first, and on the same one after `close`. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook?secret=1`
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.closeAllConnections()
    await new Promise((closed) => this.#server.close(closed))
  }
}
