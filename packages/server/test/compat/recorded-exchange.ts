import { expect } from 'vitest'

/**
 * What the live service answered, as public test suites have it on record: the parts that a client can see. Values are
 * examples; what counts is the order of keys and the type of each value.
 */
export interface RecordedAnswer {
  readonly status: number
  readonly contentType: string
  /** Names, lower case, of all fal's own headers (`x-fal-*`). */
  readonly falHeaders: readonly string[]
  /** The body as text: JSON in the service's own spelling, or a server-sent event's data. */
  readonly body: string
}

/** A way in which this server's answer differs, and why. */
export interface Exception {
  /** A header's name, `content-type`, or the path of a body's key: `detail.0.ctx`, `message`. */
  readonly at: string
  readonly kind: 'added' | 'absent' | 'differs'
  readonly reason: string
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

export async function readAnswer(response: Response): Promise<Answer> {
  return { status: response.status, headers: response.headers, body: await response.text() }
}

/** Holds an answer against the record. Every exception must be needed: one that no longer applies fails too. */
export function expectRecorded(answer: Answer, recorded: RecordedAnswer, exceptions: readonly Exception[] = []): void {
  const found = [
    ...headerDifferences(answer, recorded),
    ...bodyDifferences(parsed(answer.body), parsed(recorded.body)),
    ...(isSpaced(answer.body) === isSpaced(recorded.body) ? [] : ['body: differs in spacing']),
  ]
  expect(answer.status, answer.body).toBe(recorded.status)
  expect(found.sort()).toEqual(exceptions.map(({ at, kind }) => `${at}: ${kind}`).sort())
}

function headerDifferences({ headers }: Answer, { contentType, falHeaders }: RecordedAnswer): string[] {
  const ours = [...headers.keys()].filter((name) => name.startsWith('x-fal-'))
  return [
    ...ours.filter((name) => !falHeaders.includes(name)).map((name) => `${name}: added`),
    ...falHeaders.filter((name) => !ours.includes(name)).map((name) => `${name}: absent`),
    // A charset's case means nothing (RFC 9110, 8.3.2).
    ...(headers.get('content-type')?.toLowerCase() === contentType ? [] : ['content-type: differs']),
  ]
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

/** `json.dumps` writes a space after each colon and comma, fal's applications none. */
function isSpaced(body: string): boolean {
  return /^\{"[^"]*": /.test(body)
}

/** Keys added, missing, or out of order, and values of another type, each by its path. Lists are compared by their first item. */
function bodyDifferences(ours: unknown, theirs: unknown, path = ''): string[] {
  if (typeOf(ours) !== typeOf(theirs)) return [`${path || 'body'}: differs`]
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    const first = join(path, '0')
    if (theirs.length === 0) return []
    return ours.length === 0 ? [`${first}: absent`] : bodyDifferences(ours[0], theirs[0], first)
  }
  if (!isObject(ours) || !isObject(theirs)) return []
  const [names, wanted] = [Object.keys(ours), Object.keys(theirs)]
  const shared = wanted.filter((name) => names.includes(name))
  const inOrder = names.filter((name) => wanted.includes(name)).every((name, index) => name === shared[index])
  return [
    ...names.filter((name) => !wanted.includes(name)).map((name) => `${join(path, name)}: added`),
    ...wanted.filter((name) => !names.includes(name)).map((name) => `${join(path, name)}: absent`),
    ...(inOrder ? [] : [`${path || 'body'}: differs in order`]),
    ...shared.flatMap((name) => bodyDifferences(ours[name], theirs[name], join(path, name))),
  ]
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
