import type { z } from 'zod'
import { WireError } from '../errors/errors.ts'
import { compile } from './compile.ts'
import { MISSING } from './field-errors.ts'
import { JsonInput } from './json-input.ts'
import { type PythonValue, toPythonValue } from './python-value.ts'
import { ErrorList, INVALID } from './validator.ts'

/**
 * An input as the endpoint's handler gets it. Reads as fal's endpoints do, which are pydantic 1.10 models: coerces
 * before it checks, ignores unknown keys.
 * @param input a `JsonInput` (of `parseInput`, `readJsonBody`), or JavaScript values (of the direct channel, of a realtime frame)
 * @throws WireError 422 whose detail lists every violation
 */
export function validateInput<S extends z.ZodObject>(schema: S, input: unknown): z.output<S> {
  return validatePythonValue(schema, input instanceof JsonInput ? input.value : toPythonValue(input))
}

/** @throws WireError 422 */
function validatePythonValue<S extends z.ZodObject>(schema: S, value: PythonValue): z.output<S> {
  const loc = ['body']
  if (value === null) throw new WireError(422, [{ loc, ...MISSING }])
  const errors = new ErrorList()
  const result = compile(schema)(value, loc, errors)
  if (result === INVALID) throw new WireError(422, errors.items)
  return result as z.output<S>
}
