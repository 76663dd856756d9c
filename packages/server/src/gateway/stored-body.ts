import type { StoredPayload } from '../queue/request-queue.ts'
import { holdAnswer, LONG_ANSWER_BYTES } from './answers-underway.ts'
import { accountOf } from './authentication.ts'
import type { GatewayContext, GatewayDependencies } from './dependencies.ts'
import { jsonBody } from './text-response.ts'

/** A stored JSON text as the body of an answer, read from the database as its reader takes it. */
export async function storedBody(
  { bounds }: Pick<GatewayDependencies, 'bounds'>,
  c: GatewayContext,
  payload: StoredPayload,
): Promise<ReadableStream<Uint8Array>> {
  const account = accountOf(c)
  if (payload.bytes > LONG_ANSWER_BYTES) await holdAnswer(bounds.answers, account, c)
  return jsonBody(payload.read(), () => bounds.turns.take(account))
}
