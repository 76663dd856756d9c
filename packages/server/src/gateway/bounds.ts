import { type AnswersUnderway, answersUnderway } from './answers-underway.ts'
import { EventLoopTurns } from './event-loop-turns.ts'
import { InputThreads } from './input-thread.ts'

/** What keeps the calls of one account from stopping those of others: one of each for a process. */
export interface GatewayBounds {
  readonly turns: EventLoopTurns
  readonly answers: AnswersUnderway
  readonly inputs: InputThreads
}

export function createGatewayBounds(): GatewayBounds {
  return { turns: new EventLoopTurns(), answers: answersUnderway(), inputs: new InputThreads() }
}
