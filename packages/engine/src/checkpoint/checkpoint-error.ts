import { EngineError } from '../errors/engine-error.ts'

/** A checkpoint that cannot be used as it is: the message names the file or tensor, the likely cause and what to do. */
export class CheckpointError extends EngineError {
  override readonly name = 'CheckpointError'
  readonly kind = 'model'
}
