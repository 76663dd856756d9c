/**
 * From a zod schema to a validator that reads as a pydantic 1.10 model of the same fields reads: it coerces, ignores
 * unknown keys, tries unions from left to right and reports every violation. Only the kinds of schema that endpoints are
 * written in are known; any other is an error when the endpoint is loaded.
 */
import { z } from 'zod'
import { type Check, checked, firstProblem, lengthChecks, numberChecks, type Problem } from './constraints.ts'
import { MISSING, NONE_NOT_ALLOWED, NOT_A_DICT, NOT_A_LIST } from './field-errors.ts'
import { isDict, type PythonValue, toDictEntries } from './python-value.ts'
import { boolean, bytes, choice, float, integer, string } from './scalars.ts'
import { ErrorList, INVALID, type Validator } from './validator.ts'

const compiled = new WeakMap<z.core.$ZodType, Validator>()

/** The validator of a schema, compiled once. */
export function compile(schema: z.core.$ZodType): Validator {
  const known = compiled.get(schema)
  if (known !== undefined) return known
  const validator = compileSchema(schema)
  compiled.set(schema, validator)
  return validator
}

function compileSchema(schema: z.core.$ZodType): Validator {
  const { def } = (schema as z.core.$ZodTypes)._zod
  switch (def.type) {
    case 'nullable':
    case 'optional':
      return nullable(compile(def.innerType))
    case 'default':
      return compile(def.innerType)
    case 'any':
      return (value) => value
    case 'unknown':
      return bounded
    default:
      return notNull(compileNonNull(def))
  }
}

type Def = z.core.$ZodTypes['_zod']['def']

function compileNonNull(def: Def): Validator {
  switch (def.type) {
    case 'string':
      return checked(string, lengthChecks(def.checks, 'characters'))
    case 'number':
      return isIntegerFormat(def)
        ? toNumber(checked(integer, numberChecks(def.checks)))
        : checked(float, numberChecks(def.checks))
    case 'bigint':
      return checked(integer, numberChecks(def.checks))
    case 'boolean':
      return boolean
    case 'literal':
      return choice(def.values.map(String))
    case 'enum':
      return choice(Object.values(def.entries).map(String))
    case 'array':
      return list(compile(def.element), lengthChecks(def.checks, 'items'))
    case 'object':
      return model(def.shape)
    case 'record':
      return dict(compile(def.valueType))
    case 'union':
      return union(def.options.map(compile))
    case 'custom':
      return bytes
    default:
      throw new Error(`zod schema of type ${def.type}: no pydantic equivalent; write the field with another type`)
  }
}

function isIntegerFormat(def: Def): boolean {
  return 'format' in def && (def.format === 'safeint' || def.format === 'int32' || def.format === 'uint32')
}

function nullable(inner: Validator): Validator {
  return (value, loc, errors) => (value === null ? null : inner(value, loc, errors))
}

function notNull(inner: Validator): Validator {
  return (value, loc, errors) => (value === null ? errors.add(loc, NONE_NOT_ALLOWED) : inner(value, loc, errors))
}

/** For integer fields, whose bounds keep them exact as a number. */
function toNumber(inner: Validator): Validator {
  return (value, loc, errors) => {
    const result = inner(value, loc, errors)
    return typeof result === 'bigint' ? Number(result) : result
  }
}

/** Its length before its items, as pydantic: of a list that is too long nothing else is looked at. */
function list(element: Validator, lengths: readonly Check[]): Validator {
  return (value, loc, errors) => {
    if (!Array.isArray(value)) return errors.add(loc, NOT_A_LIST)
    const problem = firstProblem(lengths, value)
    if (problem !== undefined) return errors.add(loc, problem)
    const before = errors.count
    const items = value.map((item, index) => element(item, [...loc, index], errors))
    return errors.count > before ? INVALID : items
  }
}

/** A value of any form, of a size that nobody reaches who means it. */
function bounded(value: PythonValue, loc: readonly (string | number)[], errors: ErrorList): unknown {
  let level = [value]
  for (let count = 0; level.length > 0; count += level.length) {
    if (count + level.length > MOST_MEMBERS) return errors.add(loc, TOO_MANY_MEMBERS)
    level = level.flatMap((each) => (Array.isArray(each) ? each : isDict(each) ? Object.values(each) : []))
  }
  return value
}

const MOST_MEMBERS = 1_000

const TOO_MANY_MEMBERS: Problem = {
  msg: `ensure this value has at most ${MOST_MEMBERS} members`,
  type: 'value_error.dict.max_members',
  ctx: { limit_value: MOST_MEMBERS },
}

function dict(member: Validator): Validator {
  return (value, loc, errors) => {
    const entries = toDictEntries(value)
    if (entries === undefined) return errors.add(loc, NOT_A_DICT)
    if (entries.length > MOST_MEMBERS) return errors.add(loc, TOO_MANY_MEMBERS)
    const before = errors.count
    const result: Record<string, unknown> = Object.create(null)
    for (const [key, item] of entries) {
      const name = string(key, [...loc, '__key__'], errors)
      if (name !== INVALID) result[name] = member(item, [...loc, name], errors)
    }
    return errors.count > before ? INVALID : result
  }
}

function union(options: readonly Validator[]): Validator {
  return (value, loc, errors) => {
    const refusals = new ErrorList()
    for (const option of options) {
      const result = option(value, loc, refusals)
      if (result !== INVALID) return result
    }
    return errors.addAll(refusals)
  }
}

interface Field {
  readonly name: string
  readonly validate: Validator
  readonly required: boolean
  /** Another field whose presence makes this one optional. */
  readonly requiredUnless: string | undefined
  readonly defaultValue: (() => unknown) | undefined
}

function model(shape: Readonly<Record<string, z.core.$ZodType>>): Validator {
  const fields = Object.entries(shape).map(([name, schema]) => describeField(name, schema))
  return (value, loc, errors) => {
    const entries = toDictEntries(value)
    if (entries === undefined) return errors.add(loc, NOT_A_DICT)
    if (entries.some(([key]) => typeof key !== 'string')) return errors.add(loc, KEYWORDS)
    const given = new Map(entries)
    const before = errors.count
    const result: Record<string, unknown> = {}
    for (const field of fields) {
      const output = validateField(field, given, [...loc, field.name], errors)
      // What was not given and has no default stays away, so that handlers have one way to see it.
      if (output !== undefined && output !== null) result[field.name] = output
      else if (output === null && field.defaultValue !== undefined) result[field.name] = null
    }
    return errors.count > before ? INVALID : result
  }
}

/** What Python says when `Model(**value)` meets a key that is no string. */
const KEYWORDS: Problem = { msg: 'keywords must be strings', type: 'type_error' }

function validateField(
  field: Field,
  given: ReadonlyMap<PythonValue, PythonValue>,
  loc: readonly (string | number)[],
  errors: ErrorList,
): unknown {
  const value = given.get(field.name)
  if (field.requiredUnless !== undefined && (value === undefined || value === null)) {
    const other = given.get(field.requiredUnless)
    if (other !== undefined && other !== null) return undefined
    return errors.add(loc, value === null ? NONE_NOT_ALLOWED : MISSING)
  }
  if (value !== undefined) return field.validate(value, loc, errors)
  if (field.required) return errors.add(loc, MISSING)
  return field.defaultValue?.()
}

/** A default of each input's own; most are texts and numbers, for which a clone is dear. */
function copyOf(value: unknown): unknown {
  return typeof value === 'object' ? structuredClone(value) : value
}

function describeField(name: string, schema: z.core.$ZodType): Field {
  let required = true
  let defaultValue: Field['defaultValue']
  let inner = schema
  while (true) {
    const { def } = (inner as z.core.$ZodTypes)._zod
    if (def.type !== 'default' && def.type !== 'optional' && def.type !== 'nullable') break
    if (def.type === 'default') defaultValue = () => copyOf(def.defaultValue)
    if (def.type !== 'nullable') required = false
    inner = def.innerType
  }
  const requiredUnless = z.globalRegistry.get(schema)?.requiredUnless
  return {
    name,
    validate: compile(schema),
    required,
    requiredUnless: typeof requiredUnless === 'string' ? requiredUnless : undefined,
    defaultValue,
  }
}
