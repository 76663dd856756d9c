import type { HttpBindings } from '@hono/node-server'
import { SharedSlots } from '../waiting/shared-slots.ts'

/**
 * Long answers that are being made or read. Each holds some hundred kilobytes of this process for as long as its reader likes, so that an
 * account has some of them at a time and its others wait for these.
 */
export type AnswersUnderway = SharedSlots<'account'>

export function answersUnderway(): AnswersUnderway {
  return new SharedSlots({ total: 128, shares: { account: 8 }, turnsOf: 'account' })
}

/** An answer that is shorter is as cheap to hold as the socket it goes to. */
export const LONG_ANSWER_BYTES = 64 * 1024

/** The request that an answer is for, and the socket that it goes to; a caller within this process has none. */
export interface Asker {
  readonly env: Partial<HttpBindings> | undefined
  readonly req: { readonly raw: Request }
}

/**
 * Waits until the account may have another long answer, whose slot is given back when the last of it was read or the reader left.
 * @throws where the client leaves before that
 */
export async function holdAnswer(answers: AnswersUnderway, account: string, { env, req }: Asker): Promise<void> {
  const giveBack = await answers.take({ account }, req.raw.signal)
  const outgoing = env?.outgoing
  if (outgoing === undefined || outgoing.closed || outgoing.destroyed) giveBack()
  else outgoing.once('close', giveBack)
}
