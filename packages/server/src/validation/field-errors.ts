import type { FieldErrorItem } from '../errors/errors.ts'
import { pythonStringRepr } from './python-numbers.ts'
import { isDict, type PythonValue } from './python-value.ts'

/** Names and messages of pydantic 1.10's errors (`pydantic/errors.py`), which fal's five endpoints answer with. */
export type Location = readonly (string | number)[]

type Problem = Pick<FieldErrorItem, 'msg' | 'type' | 'ctx'>

const problem = (type: string, msg: string, ctx?: FieldErrorItem['ctx']): Problem =>
  ctx === undefined ? { msg, type } : { msg, type, ctx }

export const MISSING = problem('value_error.missing', 'field required')
export const NONE_NOT_ALLOWED = problem('type_error.none.not_allowed', 'none is not an allowed value')
export const NOT_AN_INTEGER = problem('type_error.integer', 'value is not a valid integer')
export const NOT_A_FLOAT = problem('type_error.float', 'value is not a valid float')
export const NOT_A_BOOLEAN = problem('type_error.bool', 'value could not be parsed to a boolean')
export const NOT_A_STRING = problem('type_error.str', 'str type expected')
export const NOT_BYTES = problem('type_error.bytes', 'byte type expected')
export const NOT_A_LIST = problem('type_error.list', 'value is not a valid list')
export const NOT_A_DICT = problem('type_error.dict', 'value is not a valid dict')

type Limit = number | bigint

const COMPARISONS = {
  gt: ['value_error.number.not_gt', 'greater than'],
  ge: ['value_error.number.not_ge', 'greater than or equal to'],
  lt: ['value_error.number.not_lt', 'less than'],
  le: ['value_error.number.not_le', 'less than or equal to'],
} as const

export type Comparison = keyof typeof COMPARISONS

export function outOfRange(comparison: Comparison, limit: Limit): Problem {
  const [type, words] = COMPARISONS[comparison]
  return problem(type, `ensure this value is ${words} ${limit}`, { limit_value: limit })
}

export function notMultipleOf(step: Limit): Problem {
  return problem('value_error.number.not_multiple', `ensure this value is a multiple of ${step}`, { multiple_of: step })
}

export function wrongLength(kind: 'characters' | 'items', bound: 'least' | 'most', limit: Limit): Problem {
  const type = `value_error.${kind === 'items' ? 'list' : 'any_str'}.${bound === 'least' ? 'min' : 'max'}_${
    kind === 'items' ? 'items' : 'length'
  }`
  return problem(type, `ensure this value has at ${bound} ${limit} ${kind}`, { limit_value: limit })
}

export function notPermitted(given: PythonValue, permitted: readonly string[]): Problem {
  const choices = permitted.map(pythonStringRepr).join(', ')
  return problem('value_error.const', `unexpected value; permitted: ${choices}`, { given: abridge(given), permitted })
}

export function syntaxError(
  error: { message: string; problem: string; position: number; line: number; column: number },
  document: string,
): Problem {
  return problem('value_error.jsondecode', error.message, {
    msg: error.problem,
    doc: abridge(document),
    pos: error.position,
    lineno: error.line,
    colno: error.column,
  })
}

/** Largest part of an input that an error repeats. fal repeats all of it, which lets a body be sent back a thousand times. */
const LONGEST_ECHO = 10_000

/** The value, or what it is where it is too large to be repeated. */
function abridge(value: PythonValue): PythonValue {
  if (typeof value === 'string') return value.length > LONGEST_ECHO ? `${value.slice(0, LONGEST_ECHO)}…` : value
  return sizeOf(value, LONGEST_ECHO) > LONGEST_ECHO ? '<value too large to repeat>' : value
}

/** Rough length as JSON, counted no further than needed. */
function sizeOf(value: PythonValue, limit: number): number {
  if (typeof value === 'string') return value.length
  if (typeof value === 'bigint') return value.toString().length
  if (typeof value !== 'object' || value === null) return 8
  const members = Array.isArray(value) ? value : isDict(value) ? Object.entries(value).flat() : []
  let size = 8
  for (const member of members) {
    if (size > limit) break
    size += sizeOf(member, limit - size)
  }
  return size
}
