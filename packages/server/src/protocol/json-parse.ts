/**
 * A JSON reader that accepts, keeps and refuses what CPython's `json.loads` does, because fal's applications read their
 * bodies with it and answer its message and position on a 422. What sets it apart from `JSON.parse`:
 *
 * - integers and floats stay apart and integers keep every digit: `2` is `2n`, `2.0` is `2`;
 * - `NaN`, `Infinity` and `-Infinity` are floats;
 * - of duplicate keys the last one wins, and `__proto__` is a key like any other;
 * - depth, number of values and digits of an integer are limited, so a body cannot exhaust the stack or the heap.
 */
export type ParsedJson = null | boolean | bigint | number | string | ParsedJson[] | ParsedObject
export interface ParsedObject {
  [key: string]: ParsedJson
}

/** A syntax error as `json.JSONDecodeError` describes it; `position` counts code points from 0. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError'
  readonly problem: string
  readonly position: number
  readonly line: number
  readonly column: number

  constructor(problem: string, text: string, unit: number) {
    const lineStart = unit === 0 ? 0 : text.lastIndexOf('\n', unit - 1) + 1
    const position = countCodePoints(text, 0, unit)
    const line = countLineFeeds(text, unit) + 1
    const column = countCodePoints(text, lineStart, unit) + 1
    super(`${problem}: line ${line} column ${column} (char ${position})`)
    this.problem = problem
    this.position = position
    this.line = line
    this.column = column
  }
}

/** The text is JSON, perhaps, but too deep, too long or with too many digits to be read. */
export class JsonLimitError extends Error {
  override readonly name = 'JsonLimitError'
}

export interface JsonLimits {
  readonly depth: number
  readonly values: number
}

/** Lists and objects within each other: about where CPython gives up, at its recursion limit of 1000 less the frames of the server. */
export const MAX_NESTING = 950

/** The largest input of any endpoint has five thousand; a million take a second and a half to read. */
export const MOST_VALUES = 50_000

const DEFAULT_LIMITS: JsonLimits = { depth: MAX_NESTING, values: MOST_VALUES }
/** CPython's `sys.int_info.default_max_str_digits`. */
const MAX_INTEGER_DIGITS = 4300

/**
 * @throws JsonSyntaxError
 * @throws JsonLimitError
 */
export function parseJson(text: string, limits: JsonLimits = DEFAULT_LIMITS): ParsedJson {
  const reader = new JsonReader(text, limits)
  return reader.readDocument()
}

// Both count in place, unit by unit: a body is up to a hundred megabytes, and its parts must not be built to be counted.
function countCodePoints(text: string, from: number, until: number): number {
  let count = until - from
  for (let at = from; at + 1 < until; at++) {
    if (!isBetween(text.charCodeAt(at), 0xd800, 0xdbff) || !isBetween(text.charCodeAt(at + 1), 0xdc00, 0xdfff)) continue
    count--
    at++
  }
  return count
}

function isBetween(unit: number, first: number, last: number): boolean {
  return unit >= first && unit <= last
}

const LINE_FEED = 0x0a

function countLineFeeds(text: string, until: number): number {
  let count = 0
  for (let at = 0; at < until; at++) if (text.charCodeAt(at) === LINE_FEED) count++
  return count
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y
const WHITESPACE = /[ \t\n\r]*/y
const HEX = /^[0-9a-fA-F]{4}$/
const QUOTE = 0x22
const BACKSLASH = 0x5c
const FIRST_PRINTABLE = 0x20
const ESCAPE_LETTERS: ReadonlySet<string> = new Set('"\\/bfnrt')
const LITERALS: readonly (readonly [string, null | boolean | number])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]

class JsonReader {
  readonly #text: string
  readonly #limits: JsonLimits
  #at = 0
  #depth = 0
  #values = 0

  constructor(text: string, limits: JsonLimits) {
    this.#text = text
    this.#limits = limits
  }

  readDocument(): ParsedJson {
    this.#skipWhitespace()
    const value = this.#readValue()
    this.#skipWhitespace()
    if (this.#at !== this.#text.length) throw this.#error('Extra data', this.#at)
    return value
  }

  #readValue(): ParsedJson {
    if (++this.#values > this.#limits.values) {
      throw new JsonLimitError(`expected at most ${this.#limits.values} JSON values, found more`)
    }
    switch (this.#text[this.#at]) {
      case '"':
        return this.#readString()
      case '{':
        return this.#nest(() => this.#readObject())
      case '[':
        return this.#nest(() => this.#readArray())
      default:
        return this.#readLiteral()
    }
  }

  #nest<T>(read: () => T): T {
    if (++this.#depth > this.#limits.depth) {
      throw new JsonLimitError(`expected JSON nested at most ${this.#limits.depth} deep, found deeper`)
    }
    this.#at++
    this.#skipWhitespace()
    const value = read()
    this.#at++
    this.#depth--
    return value
  }

  #readObject(): ParsedObject {
    const object: ParsedObject = {}
    if (this.#text[this.#at] === '}') return object
    while (true) {
      if (this.#text[this.#at] !== '"') {
        throw this.#error('Expecting property name enclosed in double quotes', this.#at)
      }
      const key = this.#readString()
      this.#skipWhitespace()
      if (this.#text[this.#at] !== ':') throw this.#error("Expecting ':' delimiter", this.#at)
      this.#at++
      this.#skipWhitespace()
      const value = this.#readValue()
      if (key === '__proto__') Object.defineProperty(object, key, { value, ...OWN_PROPERTY })
      else object[key] = value
      if (this.#endsOrContinues('}')) return object
    }
  }

  #readArray(): ParsedJson[] {
    const array: ParsedJson[] = []
    if (this.#text[this.#at] === ']') return array
    while (true) {
      array.push(this.#readValue())
      if (this.#endsOrContinues(']')) return array
    }
  }

  /** Stands before the closing bracket (true), or behind a comma and its whitespace (false). */
  #endsOrContinues(closing: string): boolean {
    this.#skipWhitespace()
    const character = this.#text[this.#at]
    if (character === closing) return true
    if (character !== ',') throw this.#error("Expecting ',' delimiter", this.#at)
    this.#at++
    this.#skipWhitespace()
    return false
  }

  #readLiteral(): ParsedJson {
    for (const [word, value] of LITERALS) {
      if (!this.#text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return value
    }
    NUMBER.lastIndex = this.#at
    const match = NUMBER.exec(this.#text)
    if (match === null) throw this.#error('Expecting value', this.#at)
    const [digits, fraction, exponent] = match
    this.#at += digits.length
    if (fraction !== undefined || exponent !== undefined) return Number(digits)
    if (digits.length > MAX_INTEGER_DIGITS + (digits.startsWith('-') ? 1 : 0)) {
      throw new JsonLimitError(`expected an integer of at most ${MAX_INTEGER_DIGITS} digits, found ${digits.length}`)
    }
    return BigInt(digits)
  }

  /** Where the string ends is found here; what it holds is left to JSON.parse, which keeps lone surrogates as Python does. */
  #readString(): string {
    const begin = this.#at
    let end = this.#text.indexOf('"', begin + 1)
    while (end !== -1 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1)
    if (end === -1) throw this.#stringError(begin)
    this.#at = end + 1
    try {
      return JSON.parse(this.#text.slice(begin, end + 1))
    } catch {
      throw this.#stringError(begin)
    }
  }

  /** Whether an odd number of backslashes stands before a quote. */
  #isEscaped(quote: number): boolean {
    let at = quote - 1
    while (this.#text.charCodeAt(at) === BACKSLASH) at--
    return (quote - at) % 2 === 0
  }

  /** The first thing that CPython's `scanstring` objects to in the string that begins here. */
  #stringError(begin: number): JsonSyntaxError {
    const text = this.#text
    for (let at = begin + 1; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      if (unit === QUOTE) break
      if (unit < FIRST_PRINTABLE) return this.#error('Invalid control character at', at)
      if (unit !== BACKSLASH) continue
      const letter = text[++at]
      if (letter === undefined) break
      if (letter !== 'u') {
        if (!ESCAPE_LETTERS.has(letter)) return this.#error('Invalid \\escape', at - 1)
        continue
      }
      // CPython wants one more character behind the digits, for the string must still end.
      if (at + 5 >= text.length || !HEX.test(text.slice(at + 1, at + 5))) {
        return this.#error('Invalid \\uXXXX escape', at)
      }
      at += 4
    }
    return this.#error('Unterminated string starting at', begin)
  }

  #skipWhitespace(): void {
    WHITESPACE.lastIndex = this.#at
    WHITESPACE.exec(this.#text)
    this.#at = WHITESPACE.lastIndex
  }

  #error(problem: string, unit: number): JsonSyntaxError {
    return new JsonSyntaxError(problem, this.#text, unit)
  }
}

const OWN_PROPERTY = { configurable: true, enumerable: true, writable: true } as const

/**
 * Parsed JSON as ordinary JavaScript values: an integer becomes a number where that is exact and stays a bigint
 * where it is not.
 */
export function toPlainValue(value: ParsedJson): unknown {
  if (typeof value === 'bigint') return toPlainInteger(value)
  if (Array.isArray(value)) return value.map(toPlainValue)
  if (typeof value !== 'object' || value === null) return value
  const plain: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(value)) {
    Object.defineProperty(plain, key, { value: toPlainValue(member), ...OWN_PROPERTY })
  }
  return plain
}

function toPlainInteger(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
