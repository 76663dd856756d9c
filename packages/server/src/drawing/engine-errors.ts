import { EngineError, ParameterError } from '@darkroom/engine'
import { fieldError, WireError } from '../errors/errors.ts'

/** Input fields by the engine's name for what they set, where the two differ. */
export type FieldNames = Readonly<Record<string, string | readonly (string | number)[]>>

/**
 * The engine's errors as fal answers them: a parameter that cannot be met is the field's 422, an unusable model or a picture that
 * does not fit into memory is a 422 with a sentence. Anything else is a defect and stays as it is.
 */
export function toWireError(error: unknown, fields: FieldNames = {}): unknown {
  if (!(error instanceof EngineError)) return error
  switch (error.kind) {
    case 'parameter': {
      const parameter = error.parameter ?? ''
      return fieldError(fields[parameter] ?? snakeCase(parameter), 'value_error', problemOf(error, fields))
    }
    case 'picture':
      return fieldError(fields.image ?? 'image_url', 'image_load_error', error.message)
    case 'model':
    case 'memory':
      return new WireError(422, error.message, { cause: error })
    case 'session':
      return error
  }
}

/** What is wrong with a parameter, in the caller's words: the answer's `loc` names the field, and other parameters have their fields' names. */
export function problemOf(error: EngineError, fields: FieldNames): string {
  const problem = error instanceof ParameterError ? error.problem : error.message
  return problem.replace(/\b[a-z]+(?:[A-Z][a-z]+)+\b/g, (parameter) => {
    const field = fields[parameter]
    return typeof field === 'string' ? field : snakeCase(parameter)
  })
}

/** Most parameters of the engine are fal's fields but for the spelling: `startPercentage`, `start_percentage`. */
export function snakeCase(parameter: string): string {
  return parameter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
