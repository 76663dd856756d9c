import {
  type Location,
  NOT_A_BOOLEAN,
  NOT_A_FLOAT,
  NOT_A_STRING,
  NOT_AN_INTEGER,
  NOT_BYTES,
  notPermitted,
} from './field-errors.ts'
import { parsePythonFloat, parsePythonInteger, pythonFloatRepr } from './python-numbers.ts'
import type { PythonValue } from './python-value.ts'
import type { ErrorList, INVALID, Validator } from './validator.ts'

/** The coercions of pydantic 1.10's validators of the same names (`pydantic/validators.py`). None never gets here. */
export function integer(value: PythonValue, loc: Location, errors: ErrorList): bigint | typeof INVALID {
  const read = readInteger(value)
  return read ?? errors.add(loc, NOT_AN_INTEGER)
}

function readInteger(value: PythonValue): bigint | undefined {
  switch (typeof value) {
    case 'bigint':
      return value
    case 'number':
      return Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined
    case 'boolean':
      return value ? 1n : 0n
    case 'string':
      return parsePythonInteger(value)
    default:
      return value instanceof Uint8Array ? parsePythonInteger(asciiOf(value)) : undefined
  }
}

export function float(value: PythonValue, loc: Location, errors: ErrorList): number | typeof INVALID {
  const read = readFloat(value)
  return read ?? errors.add(loc, NOT_A_FLOAT)
}

function readFloat(value: PythonValue): number | undefined {
  switch (typeof value) {
    case 'number':
      return value
    case 'bigint':
      return floatOfInteger(value)
    case 'boolean':
      return value ? 1 : 0
    case 'string':
      return parsePythonFloat(value)
    default:
      return value instanceof Uint8Array ? parsePythonFloat(asciiOf(value)) : undefined
  }
}

/** Python raises OverflowError here, which pydantic 1 lets through to a 500; a type error is the honest answer. */
function floatOfInteger(value: bigint): number | undefined {
  const float = Number(value)
  return Number.isFinite(float) ? float : undefined
}

const asciiOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 'on', 't', 'true', 'y', 'yes'])
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'off', 'f', 'false', 'n', 'no'])

export function boolean(value: PythonValue, loc: Location, errors: ErrorList): boolean | typeof INVALID {
  if (typeof value === 'boolean') return value
  if (typeof value === 'bigint' || typeof value === 'number') {
    const number = Number(value)
    if (number === 0 || number === 1) return number === 1
  } else {
    const word = value instanceof Uint8Array ? asciiOf(value) : value
    if (typeof word === 'string' && TRUE_WORDS.has(word.toLowerCase())) return true
    if (typeof word === 'string' && FALSE_WORDS.has(word.toLowerCase())) return false
  }
  return errors.add(loc, NOT_A_BOOLEAN)
}

export function string(value: PythonValue, loc: Location, errors: ErrorList): string | typeof INVALID {
  return readString(value) ?? errors.add(loc, NOT_A_STRING)
}

function readString(value: PythonValue): string | undefined {
  switch (typeof value) {
    case 'string':
      return value
    case 'bigint':
      return value.toString()
    case 'number':
      return pythonFloatRepr(value)
    case 'boolean':
      return value ? 'True' : 'False'
    default:
      return value instanceof Uint8Array ? decodeUtf8(value) : undefined
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

export function bytes(value: PythonValue, loc: Location, errors: ErrorList): Uint8Array | typeof INVALID {
  if (value instanceof Uint8Array) return value
  const text = typeof value === 'boolean' ? undefined : readString(value)
  return text === undefined ? errors.add(loc, NOT_BYTES) : new TextEncoder().encode(text)
}

/** A Literal of strings. */
export function choice(permitted: readonly string[]): Validator {
  return (value, loc, errors) => {
    if (typeof value === 'string' && permitted.includes(value)) return value
    return errors.add(loc, notPermitted(value, permitted))
  }
}
