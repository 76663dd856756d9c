import type { FieldErrorItem } from '../errors/errors.ts'
import type { Location } from './field-errors.ts'
import type { PythonValue } from './python-value.ts'

/** What a validator returns when the value was refused and the reasons added. */
export const INVALID: unique symbol = Symbol('invalid')

/** Turns an input into the value its schema asks for, or adds why not. */
export type Validator = (value: PythonValue, loc: Location, errors: ErrorList) => unknown

/** More would only be a way to make the answer far larger than the input. */
const MOST_ERRORS = 1_000

/** The items of a 422 in the order pydantic lists them: that of the schema's fields. */
export class ErrorList {
  readonly items: FieldErrorItem[] = []
  /** Violations found, those beyond the listed items included. */
  count = 0

  add(loc: Location, problem: Pick<FieldErrorItem, 'msg' | 'type' | 'ctx'>): typeof INVALID {
    this.count++
    if (this.items.length < MOST_ERRORS) this.items.push({ loc, ...problem })
    return INVALID
  }

  addAll(other: ErrorList): typeof INVALID {
    this.count += other.count
    this.items.push(...other.items.slice(0, MOST_ERRORS - this.items.length))
    return INVALID
  }
}
