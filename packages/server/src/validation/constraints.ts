import type { z } from 'zod'
import { notMultipleOf, outOfRange, wrongLength } from './field-errors.ts'
import { type ErrorList, INVALID, type Validator } from './validator.ts'

export type Problem = Parameters<ErrorList['add']>[1]
/** A constraint on a coerced value; the problem it finds, if any. */
export type Check = (value: never) => Problem | undefined

/** Applies constraints in order; the first that fails is reported. */
export function checked(inner: Validator, checks: readonly Check[]): Validator {
  if (checks.length === 0) return inner
  return (value, loc, errors) => {
    const result = inner(value, loc, errors)
    if (result === INVALID) return INVALID
    const problem = firstProblem(checks, result)
    return problem === undefined ? result : errors.add(loc, problem)
  }
}

/** What the first check says that does not hold for a value. */
export function firstProblem(checks: readonly Check[], value: unknown): Problem | undefined {
  for (const check of checks) {
    const problem = check(value as never)
    if (problem !== undefined) return problem
  }
  return undefined
}

type Checks = readonly z.core.$ZodCheck[] | undefined

/** Lower bounds before upper ones and steps last, as `number_size_validator` and its neighbour go. */
export function numberChecks(checks: Checks): Check[] {
  const lower: Check[] = []
  const upper: Check[] = []
  const steps: Check[] = []
  for (const check of checks ?? []) {
    const def = (check as z.core.$ZodChecks)._zod.def
    if (def.check === 'greater_than') lower.push(comparison(def.inclusive ? 'ge' : 'gt', limitOf(def.value)))
    if (def.check === 'less_than') upper.push(comparison(def.inclusive ? 'le' : 'lt', limitOf(def.value)))
    if (def.check === 'multiple_of') steps.push(multipleOf(limitOf(def.value)))
  }
  return [...lower, ...upper, ...steps]
}

function limitOf(value: unknown): number | bigint {
  if (typeof value === 'number' || typeof value === 'bigint') return value
  throw new Error(`limit of a numeric field: expected a number, found ${String(value)}`)
}

const COMPARE = {
  gt: (value: number | bigint, limit: number | bigint) => value > limit,
  ge: (value: number | bigint, limit: number | bigint) => value >= limit,
  lt: (value: number | bigint, limit: number | bigint) => value < limit,
  le: (value: number | bigint, limit: number | bigint) => value <= limit,
}

/** NaN fulfils no comparison, so it is refused wherever there is a bound. */
function comparison(kind: keyof typeof COMPARE, limit: number | bigint): Check {
  return (value: number | bigint) => (COMPARE[kind](value, limit) ? undefined : outOfRange(kind, limit))
}

function multipleOf(step: number | bigint): Check {
  return (value: number | bigint) => {
    const isMultiple = typeof value === 'bigint' ? value % BigInt(step) === 0n : value % Number(step) === 0
    return isMultiple ? undefined : notMultipleOf(step)
  }
}

export function lengthChecks(checks: Checks, kind: 'characters' | 'items'): Check[] {
  const found: Check[] = []
  for (const check of checks ?? []) {
    const def = (check as z.core.$ZodChecks)._zod.def
    if (def.check === 'min_length') {
      const { minimum } = def
      found.push((value: string) => (lengthOf(value) < minimum ? wrongLength(kind, 'least', minimum) : undefined))
    }
    if (def.check === 'max_length') {
      const { maximum } = def
      found.push((value: string) => (isLonger(value, maximum) ? wrongLength(kind, 'most', maximum) : undefined))
    }
  }
  return found
}

/** A code point is one or two units: hardly any text is counted, and none that is much too long. */
function isLonger(value: string | readonly unknown[], maximum: number): boolean {
  if (value.length <= maximum) return false
  return value.length > 2 * maximum || lengthOf(value) > maximum
}

function lengthOf(value: string | readonly unknown[]): number {
  if (typeof value !== 'string') return value.length
  let codePoints = 0
  for (const _ of value) codePoints++
  return codePoints
}
