/**
 * JSON text in the two spellings fal's answers have: compact UTF-8 from the applications (Starlette's JSONResponse) and
 * `json.dumps` from its gateway (a space after `,` and `:`, everything beyond ASCII escaped).
 * bigint becomes an integer with every digit; `undefined` is left out; NaN and the infinities, which JSON lacks, become
 * the strings Python prints for them.
 */
export function stringifyJson(value: unknown): string {
  return write(value, { comma: ',', colon: ':', ascii: false }) ?? 'null'
}

/** The spelling of Python's `json.dumps`. */
export function dumpsJson(value: unknown): string {
  return write(value, { comma: ', ', colon: ': ', ascii: true }) ?? 'null'
}

interface Spelling {
  readonly comma: string
  readonly colon: string
  readonly ascii: boolean
}

function write(value: unknown, spelling: Spelling): string | undefined {
  switch (typeof value) {
    case 'string':
      return quote(value, spelling)
    case 'number':
      return Number.isFinite(value) ? String(value) : `"${nonFinite(value)}"`
    case 'bigint':
      return value.toString()
    case 'boolean':
      return String(value)
    case 'object':
      return value === null ? 'null' : writeObject(value, spelling)
    default:
      return undefined
  }
}

function nonFinite(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  return value > 0 ? 'inf' : '-inf'
}

function writeObject(value: object, spelling: Spelling): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => write(item, spelling) ?? 'null').join(spelling.comma)}]`
  }
  if (value instanceof Date) return quote(value.toISOString(), spelling)
  // fal renders bytes in an error body the same way.
  if (value instanceof Uint8Array) return `"<binary ${value.byteLength} bytes>"`
  const members: string[] = []
  for (const [key, member] of Object.entries(value)) {
    const text = write(member, spelling)
    if (text !== undefined) members.push(`${quote(key, spelling)}${spelling.colon}${text}`)
  }
  return `{${members.join(spelling.comma)}}`
}

function quote(text: string, spelling: Spelling): string {
  // JSON.stringify escapes lone surrogates, so the result always is valid UTF-8.
  const quoted = JSON.stringify(text)
  if (!spelling.ascii) return quoted
  return quoted.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
