import { EngineError } from '../errors/engine-error.ts'

/** The parameters cannot be met by this checkpoint; `parameter` is the one to change. */
export class ParameterError extends EngineError {
  override readonly name = 'ParameterError'
  readonly kind = 'parameter'
  override readonly parameter: string
  /** The message without the parameter's name. */
  readonly problem: string

  constructor(parameter: string, problem: string) {
    super(`${parameter}: ${problem}`)
    this.parameter = parameter
    this.problem = problem
  }
}
