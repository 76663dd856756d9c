import type { z } from 'zod'
import { WireError } from '../errors/errors.ts'
import { compile } from './compile.ts'
import { MISSING } from './field-errors.ts'
import { type PythonValue, toPythonValue } from './python-value.ts'
import { readJson } from './request-body.ts'
import { ErrorList, INVALID } from './validator.ts'

/**
 * An input that came as JavaScript values (the direct channel, a realtime frame) as the endpoint's handler gets it.
 * Reads as fal's endpoints do, which are pydantic 1.10 models: coerces before it checks, ignores unknown keys.
 * @throws WireError 422 whose detail lists every violation
 */
export function validateInput<S extends z.ZodObject>(schema: S, input: unknown): z.output<S> {
  return validatePythonValue(schema, toPythonValue(input))
}

/**
 * As `validateInput`, for the JSON text of a queued request.
 * @throws WireError 422, or 400 when the text cannot be read
 */
export function validateJsonInput<S extends z.ZodObject>(schema: S, json: string): z.output<S> {
  return validatePythonValue(schema, readJson(json))
}

/** @throws WireError 422 */
export function validatePythonValue<S extends z.ZodObject>(schema: S, value: PythonValue): z.output<S> {
  const loc = ['body']
  if (value === null) throw new WireError(422, [{ loc, ...MISSING }])
  const errors = new ErrorList()
  const result = compile(schema)(value, loc, errors)
  if (result === INVALID) throw new WireError(422, errors.items)
  return result as z.output<S>
}
