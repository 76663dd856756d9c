import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'

const ENDPOINT = 'fal-ai/fast-lcm-diffusion'
const SMALLEST = {
  image_size: { width: 64, height: 64 },
  num_inference_steps: 1,
  sync_mode: true,
  enable_safety_checker: false,
}

/** What an honest client saw: how long each answer took, and what was no picture. */
export interface Honest {
  readonly milliseconds: number[]
  readonly failures: string[]
  asked: number
}

export interface HonestOptions {
  readonly url: string
  readonly authorization: string
  readonly clients: number
  /** Pause between an answer and the next question. */
  readonly pauseMs: number
  /** `data:` URI to draw from. */
  readonly picture: string
  readonly signal: AbortSignal
  /** For runs in which the server itself is struck: what was not answered is asked again, as clients do. */
  readonly retries: boolean
}

type Ask = (client: HonestOptions, agent: Agent) => Promise<string | undefined>

/** Clients that draw, one picture after the other, until the signal: half of them by run, a quarter from a picture, a quarter by queue. */
export async function drawHonestly(options: HonestOptions): Promise<Honest> {
  const honest: Honest = { milliseconds: [], failures: [], asked: 0 }
  const kinds: readonly Ask[] = [run, redraw, run, queue]
  const agent = new Agent({ connections: options.clients, headersTimeout: 0, bodyTimeout: 0 })
  const client = async (ask: Ask, index: number) => {
    await sleep((options.pauseMs * index) / options.clients)
    while (!options.signal.aborted) {
      honest.asked += 1
      const started = performance.now()
      const failure = await untilAnswered(() => ask(options, agent), options.retries)
      if (failure === undefined) honest.milliseconds.push(performance.now() - started)
      else honest.failures.push(failure)
      await sleep(options.pauseMs)
    }
  }
  const clients = Array.from({ length: options.clients }, (_, i) => client(kinds[i % kinds.length] ?? run, i))
  await Promise.all(clients)
  await agent.close()
  return honest
}

const RETRY_SECONDS = 90

async function untilAnswered(ask: () => Promise<string | undefined>, retries: boolean): Promise<string | undefined> {
  const giveUpAt = performance.now() + RETRY_SECONDS * 1000
  for (;;) {
    const failure = await ask().catch((error: unknown) => String(error))
    if (failure === undefined || !retries || performance.now() > giveUpAt) return failure
    await sleep(500)
  }
}

async function post({ url, authorization }: HonestOptions, agent: Agent, path: string, body?: object) {
  const response = await request(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    dispatcher: agent,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.statusCode, json: (await response.body.json()) as Record<string, unknown> }
}

function problemOf({ status, json }: Awaited<ReturnType<typeof post>>): string | undefined {
  return status === 200 && Array.isArray(json.images) ? undefined : `${status} ${JSON.stringify(json).slice(0, 200)}`
}

const run: Ask = async (options, agent) =>
  problemOf(await post(options, agent, `/run/${ENDPOINT}`, { prompt: 'a lighthouse', ...SMALLEST }))

const redraw: Ask = async (options, agent) =>
  problemOf(
    await post(options, agent, `/run/${ENDPOINT}/image-to-image`, {
      prompt: 'a lighthouse',
      image_url: options.picture,
      strength: 1,
      ...SMALLEST,
    }),
  )

const queue: Ask = async (options, agent) => {
  const { status, json } = await post(options, agent, `/queue/${ENDPOINT}`, { prompt: 'a lighthouse', ...SMALLEST })
  if (status !== 200) return `${status} ${JSON.stringify(json).slice(0, 200)}`
  const path = `/queue/${ENDPOINT}/requests/${json.request_id}`
  for (;;) {
    const answer = await post(options, agent, `${path}/status`)
    if (answer.json.status === 'COMPLETED') return problemOf(await post(options, agent, path))
    if (answer.status >= 400) return `${answer.status} ${JSON.stringify(answer.json).slice(0, 200)}`
    await sleep(50)
  }
}

/** Asks for /health all the time on a connection of its own; resolves with how long each answer took. */
export async function watchHealth(url: string, signal: AbortSignal): Promise<number[]> {
  const milliseconds: number[] = []
  const agent = new Agent({ connections: 1 })
  while (!signal.aborted) {
    const started = performance.now()
    const answer = await request(`${url}/health`, { dispatcher: agent }).catch(() => undefined)
    await answer?.body.dump()
    milliseconds.push(answer?.statusCode === 200 ? performance.now() - started : Number.POSITIVE_INFINITY)
    await sleep(50)
  }
  await agent.close()
  return milliseconds
}
