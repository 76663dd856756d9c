import {
  type ClaimedRequest,
  DEFAULT_ACCOUNT,
  type Outcome,
  type RequestQueue,
  type RunnerAdvertisement,
  type Submission,
} from '../../src/queue/request-queue.ts'

export const ENDPOINT = 'fal-ai/fast-lcm-diffusion'

export const DONE: Outcome = { status: 200, body: '{"seed":18446744073709551615}', headers: { 'x-model': 'tiny' } }

export function submission(requestId: string, extra: Partial<Submission> = {}): Submission {
  return {
    requestId,
    endpointId: ENDPOINT,
    input: `{"prompt":"${requestId}"}`,
    priority: 'normal',
    filesUrl: 'http://127.0.0.1/cdn',
    retry: true,
    storeIo: true,
    account: DEFAULT_ACCOUNT,
    ...extra,
  }
}

/** The bodies of a request, read to their ends; what is not there is left out. */
export async function textsOf(queue: RequestQueue, requestId: string): Promise<{ input?: string; output?: string }> {
  const texts: { input?: string; output?: string } = {}
  for (const [part, payload] of Object.entries((await queue.payloads(requestId)) ?? {})) {
    let text = ''
    for await (const piece of payload.read()) text += piece
    texts[part as 'input' | 'output'] = text
  }
  return texts
}

export async function claimed(
  queue: RequestQueue,
  runnerId = 'runner-1',
  warm: string[] = [],
): Promise<ClaimedRequest> {
  const claim = await queue.claim(runnerId, [ENDPOINT], warm)
  if (claim === undefined) throw new Error('Expected a request to claim, found none.')
  return claim
}

export function advertisement(runnerId: string, extra: Partial<RunnerAdvertisement> = {}): RunnerAdvertisement {
  return {
    runnerId,
    endpointIds: [ENDPOINT],
    address: 'ws://127.0.0.1:1',
    channelToken: 'secret',
    device: 'cpu',
    memoryBytes: 1,
    warm: [],
    busy: 0,
    capacity: 1,
    ...extra,
  }
}
