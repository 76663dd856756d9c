import { setTimeout as sleep } from 'node:timers/promises'
import type { Accepted, Ledger, Result } from './ledger.ts'
import { WORK_ENDPOINT_ID } from './work-endpoint.ts'

const POLL_MILLISECONDS = 150
const PAUSE_MILLISECONDS = 100
/** A call to a process that was stopped or killed in the middle must not wait for ever. */
const CALL_SECONDS = 10

export interface ClientOptions {
  readonly urls: readonly string[]
  readonly ledger: Ledger
  readonly webhookUrl: string
  /** Shortest and longest work, in milliseconds. */
  readonly work: readonly [number, number]
}

/** One client: submits a request, waits for its result, and goes on to the next, until told to stop. */
export async function runClient(options: ClientOptions, stopped: AbortSignal): Promise<void> {
  const { ledger, work } = options
  while (!stopped.aborted) {
    const token = crypto.randomUUID()
    const ms = Math.round(work[0] + Math.random() * (work[1] - work[0]))
    const requestId = await submit(options, { token, ms })
    if (requestId === undefined) {
      ledger.unanswered += 1
      await sleep(PAUSE_MILLISECONDS)
      continue
    }
    const entry = ledger.accept(requestId, token)
    while (!stopped.aborted && entry.firstResult === undefined) {
      await sleep(POLL_MILLISECONDS)
      await readResult(options, entry)
    }
  }
}

async function submit(options: ClientOptions, input: object): Promise<string | undefined> {
  const target = `${pick(options.urls)}/queue/${WORK_ENDPOINT_ID}?fal_webhook=${encodeURIComponent(options.webhookUrl)}`
  const body = await call(target, { method: 'POST', body: JSON.stringify(input) })
  return body?.status === 200 ? (body.json as { request_id: string }).request_id : undefined
}

/** Reads the result from any gateway and enters it in the ledger, once there is one. */
export async function readResult({ urls, ledger }: Pick<ClientOptions, 'urls' | 'ledger'>, entry: Accepted) {
  const target = `${pick(urls)}/queue/${WORK_ENDPOINT_ID}/requests/${entry.requestId}`
  const status = await call(`${target}/status`)
  const { status: state, error } = (status?.status === 200 ? status.json : {}) as { status?: string; error?: string }
  if (state !== 'COMPLETED') return
  const answer = await call(target)
  // An error that the status does not speak of is the gateway's own, not what the request ended with.
  if (answer === undefined || (answer.status !== 200 && error === undefined)) return
  ledger.see(entry, { ...(answer.json as Omit<Result, 'status'>), status: answer.status })
}

/** `undefined` when no whole answer came. */
async function call(url: string, init: RequestInit = {}): Promise<{ status: number; json: unknown } | undefined> {
  try {
    const response = await fetch(url, {
      ...init,
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(CALL_SECONDS * 1000),
    })
    return { status: response.status, json: await response.json() }
  } catch {
    return undefined
  }
}

function pick(urls: readonly string[]): string {
  return urls[Math.floor(Math.random() * urls.length)] ?? ''
}
