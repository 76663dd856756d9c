import { EngineError } from '../errors/engine-error.ts'
import { displayName } from './display-name.ts'

/** A file of weights that cannot be used: the message names the file, the tensor and the likely cause. */
export class WeightFileError extends EngineError {
  override readonly name = 'WeightFileError'
  readonly kind = 'model'
  override readonly path: string
  /** The message without the file's name. */
  readonly problem: string

  constructor(path: string, problem: string, cause?: unknown) {
    super(`${displayName(path)}: ${problem}`, { cause })
    this.path = path
    this.problem = problem
  }
}
