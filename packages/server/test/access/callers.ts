import { WebSocket } from 'ws'

/** Who calls: what a request shows, and where. */
export interface Caller {
  readonly name: string
  /** `id:secret` of a key. */
  readonly key?: string
  /** A browser's token. */
  readonly token?: string
  /** Whether it is of the account whose things the calls are about. */
  readonly isOwn: boolean
}

export interface Call {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Shown instead of the caller's key, such as a CDN token that it got. */
  readonly authorization?: string
}

export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

/** One call over HTTP, with the key or the token that the caller has. */
export async function callAs(caller: Caller, base: string, path: string, call: Call = {}): Promise<Answer> {
  const { method = 'GET', body, headers, authorization } = call
  const url = new URL(path, base)
  const shown = authorization ?? (caller.key === undefined ? undefined : `Key ${caller.key}`)
  if (caller.token !== undefined) url.searchParams.set('fal_jwt_token', caller.token)
  const response = await fetch(url, {
    method,
    headers: {
      'content-type': 'application/json',
      ...headers,
      ...(shown !== undefined && { authorization: shown }),
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

/** Opens a socket, sends one message and says how it went: the HTTP status of a refused handshake, or the first frames' text. */
export function socketAs(caller: Caller, base: string, path: string, message: string, frames: number): Promise<Answer> {
  const url = new URL(path, base.replace('http', 'ws'))
  if (caller.token !== undefined) url.searchParams.set('fal_jwt_token', caller.token)
  const headers = caller.key === undefined ? {} : { authorization: `Key ${caller.key}` }
  const socket = new WebSocket(url, { headers })
  const got: string[] = []
  return new Promise((resolve, reject) => {
    const end = (status: number) => {
      resolve({ status, text: got.join('\n'), headers: new Headers() })
      socket.terminate()
    }
    socket.on('open', () => socket.send(message))
    socket.on('message', (data: Buffer) => {
      got.push(data.toString())
      if (got.join('').includes('Unauthorized')) end(401)
      else if (got.length >= frames) end(200)
    })
    socket.on('unexpected-response', (_, response) => end(response.statusCode ?? 0))
    socket.on('error', reject)
  })
}
