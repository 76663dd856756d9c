import { ModelFileError } from '../errors/engine-error.ts'

/** A checkpoint that cannot be used. */
export class CheckpointError extends ModelFileError {
  override readonly name = 'CheckpointError'
}
