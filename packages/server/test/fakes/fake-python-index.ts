import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A package index with one file of one project, in either of the forms that indexes answer in. */
export class FakePythonIndex {
  /** Whether it speaks JSON (PEP 691) or HTML alone (PEP 503). */
  speaksJson = true
  /** Bytes of a body after which the connection breaks. */
  cutAfter: number | undefined
  status = 200
  readonly authorizations: (string | undefined)[] = []
  servedBytes = 0
  readonly #project: string
  readonly #fileName: string
  #bytes: Uint8Array
  readonly #server: Server

  constructor(project: string, fileName: string, bytes: Uint8Array) {
    this.#project = project
    this.#fileName = fileName
    this.#bytes = bytes
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/simple`
  }

  /** Serves other bytes under the same name. */
  replace(bytes: Uint8Array): void {
    this.#bytes = bytes
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.authorizations.push(request.headers.authorization)
    if (this.status !== 200) response.writeHead(this.status).end()
    else if (request.url === `/simple/${this.#project}/`) this.#page(response)
    else if (request.url?.endsWith(this.#fileName)) this.#file(request, response)
    else response.writeHead(404).end()
  }

  #page(response: ServerResponse): void {
    const url = `../../files/${this.#fileName}`
    if (this.speaksJson) {
      response.setHeader('content-type', 'application/vnd.pypi.simple.v1+json')
      response.end(
        JSON.stringify({
          files: [
            { filename: 'other.whl', url: 'x' },
            { filename: this.#fileName, url },
          ],
        }),
      )
      return
    }
    response.setHeader('content-type', 'text/html')
    response.end(`<a href="x">other.whl</a><br><a class="a" href="${url}#sha256=0&amp;x=1">${this.#fileName}</a>`)
  }

  #file(request: IncomingMessage, response: ServerResponse): void {
    const [, from = '0', to = String(this.#bytes.length - 1)] =
      /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
    const part = this.#bytes.subarray(Number(from), Number(to) + 1)
    response.writeHead(206, {
      'content-range': `bytes ${from}-${to}/${this.#bytes.length}`,
      'content-length': part.length,
    })
    const sent = this.cutAfter === undefined ? part : part.subarray(0, this.cutAfter)
    this.servedBytes += sent.length
    if (sent.length === part.length) response.end(sent)
    else response.write(sent, () => response.destroy())
  }
}
