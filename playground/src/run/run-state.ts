import type { OutputPicture } from '../api/pictures.ts'
import type { FieldErrors } from '../schema/field-errors.ts'
import type { Input } from '../schema/starting-input.ts'

/** A request that has been answered. */
export interface FinishedRun {
  readonly requestId: string
  readonly endpointId: string
  readonly input: Input
  readonly output: unknown
  readonly pictures: readonly OutputPicture[]
  /** From sending to the answer, as the page saw it. */
  readonly seconds: number
  readonly model: string | undefined
}

/** A request under way. */
export interface ActiveRun {
  readonly phase: 'sending' | 'queued' | 'running'
  readonly requestId: string | undefined
  /** Requests ahead of this one. */
  readonly position: number | undefined
  readonly logs: readonly LogLine[]
  readonly progress: Progress | undefined
  readonly preview: readonly OutputPicture[]
}

export interface LogLine {
  readonly message: string
  readonly level: string
  readonly timestamp: string
}

export interface Progress {
  readonly step: number
  readonly steps: number
}

/** What a person is told when a request has failed. */
export interface FailedRun {
  readonly message: string
  readonly fields: FieldErrors
}

export const STARTING: ActiveRun = {
  phase: 'sending',
  requestId: undefined,
  position: undefined,
  logs: [],
  progress: undefined,
  preview: [],
}

/** The engine logs each denoising step as `Step 3/8`. */
export function progressOf(logs: readonly LogLine[]): Progress | undefined {
  for (const { message } of logs.toReversed()) {
    const [, step, steps] = /^Step (\d+)\/(\d+)/.exec(message) ?? []
    if (step !== undefined && steps !== undefined) return { step: Number(step), steps: Number(steps) }
  }
  return undefined
}
