import type { Limits } from '../config/configuration.ts'
import type { SharedSlots } from '../waiting/shared-slots.ts'
import { type AnswersUnderway, answersUnderway } from './answers-underway.ts'
import { BodiesInFlight } from './bodies-in-flight.ts'
import { frameSlots } from './early-frames.ts'
import { EventLoopTurns } from './event-loop-turns.ts'
import { InputThreads } from './input-thread.ts'

/** What keeps the calls of one account from stopping those of others: one of each for a process. */
export interface GatewayBounds {
  readonly turns: EventLoopTurns
  readonly answers: AnswersUnderway
  readonly bodies: BodiesInFlight
  readonly inputs: InputThreads
  /** Large messages of sockets that are coming. */
  readonly frames: SharedSlots<'account'>
}

export function createGatewayBounds({ bodiesBytes, jsonBodyBytes }: Limits): GatewayBounds {
  return {
    turns: new EventLoopTurns(),
    answers: answersUnderway(),
    bodies: new BodiesInFlight(bodiesBytes, jsonBodyBytes),
    inputs: new InputThreads(),
    frames: frameSlots(),
  }
}
