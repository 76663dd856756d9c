/** How Python reads numbers from text and prints floats, where JavaScript differs. */

/**
 * Whitespace that `int()` and `float()` strip. JavaScript's `\s` lacks NEL and has the byte order mark; `str.isspace()`
 * also has 1C-1F, which they do not strip.
 */
const SPACE = /[\t-\r\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/
const DECIMAL_DIGIT = /\p{Nd}/u
const OTHER_DECIMAL_DIGITS = /(?![0-9])\p{Nd}/gu
const INTEGER = /^[+-]?[0-9]+(?:_[0-9]+)*$/
const DIGITS = '[0-9]+(?:_[0-9]+)*'
const FLOAT = new RegExp(`^[+-]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?$`)
const SPECIAL_FLOAT = /^([+-]?)(inf|infinity|nan)$/i
/** `sys.int_info.default_max_str_digits`: longer texts are refused by `int()`. */
const MAX_INTEGER_DIGITS = 4300
const LONGEST_NUMBER = 100_000

/** `int(text)`, or `undefined` where it raises. */
export function parsePythonInteger(text: string): bigint | undefined {
  const digits = normalise(text)
  if (!INTEGER.test(digits)) return undefined
  const plain = digits.replaceAll('_', '').replace('+', '')
  if (plain.replace('-', '').length > MAX_INTEGER_DIGITS) return undefined
  return plain.startsWith('-') ? -BigInt(plain.slice(1)) : BigInt(plain)
}

/** `float(text)`, or `undefined` where it raises. */
export function parsePythonFloat(text: string): number | undefined {
  const normal = normalise(text)
  const special = SPECIAL_FLOAT.exec(normal)
  if (special !== null) {
    if (special[2]?.toLowerCase() === 'nan') return Number.NaN
    return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  }
  return FLOAT.test(normal) ? Number(normal.replaceAll('_', '')) : undefined
}

/**
 * Without outer whitespace, and with the decimal digits of every script as ASCII digits. A text longer than any number
 * that someone writes becomes empty, which is no number: expressions over it could exhaust the stack.
 */
function normalise(text: string): string {
  // By hand: an expression that ends in `+$` takes quadratic time on a long run of spaces inside.
  let from = 0
  let until = text.length
  while (from < until && SPACE.test(text.charAt(from))) from++
  while (until > from && SPACE.test(text.charAt(until - 1))) until--
  if (until - from > LONGEST_NUMBER) return ''
  return text
    .slice(from, until)
    .replace(OTHER_DECIMAL_DIGITS, (digit) => String(decimalDigitValue(digit.codePointAt(0) ?? 0)))
}

/** Decimal digits stand in runs of ten, 0 first (Unicode, 4.6), so the place in the run is the value. */
function decimalDigitValue(codePoint: number): number {
  let start = codePoint
  while (DECIMAL_DIGIT.test(String.fromCodePoint(start - 1))) start--
  return (codePoint - start) % 10
}

/** `repr(value)`: shortest digits as in JavaScript, but `2.0`, `1e+16`, `1e-05`, `nan` and `inf`. */
export function pythonFloatRepr(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const [mantissa = '', exponentText = ''] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 16) {
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  const sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace('-', '').replace('.', '')
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`
}

/** `repr(text)` for the short printable texts of enumerations. */
export function pythonStringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`
}
