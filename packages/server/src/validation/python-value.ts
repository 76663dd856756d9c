import type { ParsedJson } from '../protocol/json-parse.ts'

/**
 * An input as a Python program sees it: `bigint` is int, `number` is float, an array is a list, a plain object a dict and
 * a `Uint8Array` bytes. Parsed JSON is one as it is; values that came by MessagePack go through `toPythonValue`.
 */
export type PythonValue = ParsedJson | Uint8Array | PythonValue[] | { [key: string]: PythonValue }

/** Ordinary JavaScript values as Python has them: a number without a fraction is an int, `undefined` is None. */
export function toPythonValue(value: unknown): PythonValue {
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) ? BigInt(value) : value
    case 'string':
    case 'boolean':
    case 'bigint':
      return value
    case 'object':
      return value === null ? null : objectToPython(value)
    default:
      return null
  }
}

function objectToPython(value: object): PythonValue {
  if (value instanceof Uint8Array) return value
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(toPythonValue)
  const dict: { [key: string]: PythonValue } = Object.create(null)
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) dict[key] = toPythonValue(member)
  }
  return dict
}

export function isDict(value: PythonValue): value is { [key: string]: PythonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}

/**
 * Python's `dict(value)`: a dict itself, or any iterable of pairs. So `[]` and `""` are empty dicts, and
 * `[["width", 5]]` and `["ab"]` have one entry each.
 * @returns `undefined` where `dict()` raises
 */
export function toDictEntries(value: PythonValue): readonly (readonly [PythonValue, PythonValue])[] | undefined {
  if (isDict(value)) return Object.entries(value)
  const items = iterate(value)
  if (items === undefined) return undefined
  const entries: [PythonValue, PythonValue][] = []
  for (const item of items) {
    const [key, member, ...rest] = firstThree(item)
    if (key === undefined || member === undefined || rest.length > 0 || !isHashable(key)) return undefined
    entries.push([key, member])
  }
  return entries
}

/** What a Python loop over the value gives; a text is not taken apart further than the loop goes. */
function iterate(value: PythonValue): Iterable<PythonValue> | undefined {
  if (typeof value === 'string' || Array.isArray(value)) return value
  if (value instanceof Uint8Array) return bytesOf(value)
  return isDict(value) ? Object.keys(value) : undefined
}

function* bytesOf(value: Uint8Array): Iterable<bigint> {
  for (const byte of value) yield BigInt(byte)
}

function firstThree(value: PythonValue): PythonValue[] {
  const items: PythonValue[] = []
  for (const item of iterate(value) ?? []) {
    items.push(item)
    if (items.length === 3) break
  }
  return items
}

function isHashable(value: PythonValue): boolean {
  return typeof value !== 'object' || value === null || value instanceof Uint8Array
}
