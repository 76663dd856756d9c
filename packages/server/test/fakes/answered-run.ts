import type { AnsweredRun } from '../../src/queue/request-queue.ts'

/** A sync run of the default account, answered 200 with an empty object. */
export function answeredRun(requestId: string, details: Partial<AnsweredRun> = {}): AnsweredRun {
  return {
    requestId,
    endpointId: 'acme/echo',
    input: '{}',
    priority: 'normal',
    filesUrl: 'http://localhost/cdn',
    retry: true,
    storeIo: true,
    account: 'default',
    acceptedAt: new Date(0),
    completedAt: new Date(1000),
    outcome: { status: 200, body: '{}', headers: {} },
    ...details,
  }
}
