import {
  NO_RETRY,
  OBJECT_LIFECYCLE,
  QUEUE_PRIORITY,
  REQUEST_TIMEOUT,
  RUNNER_HINT,
  START_TIMEOUT,
  STORE_IO,
} from './headers.ts'

/** What the `x-fal-*` headers of a run or submit ask for. */
export interface RequestOptions {
  readonly priority: 'normal' | 'low'
  readonly startTimeoutSeconds: number | undefined
  readonly retry: boolean
  readonly storeIo: boolean
  readonly runnerHint: string | undefined
  readonly objectLifecycle: string | undefined
}

const SMALLEST_START_TIMEOUT = 0.1
const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 'true', 'yes', 'on'])
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'false', 'no', 'off'])

/** Reads the headers. A value that means nothing is ignored, as fal documents for the priority. */
export function readRequestOptions(header: (name: string) => string | undefined): RequestOptions {
  return {
    priority: header(QUEUE_PRIORITY)?.trim().toLowerCase() === 'low' ? 'low' : 'normal',
    startTimeoutSeconds: readSeconds(header(START_TIMEOUT)) ?? readSeconds(header(REQUEST_TIMEOUT)),
    retry: !isTrue(header(NO_RETRY)),
    storeIo: !FALSE_WORDS.has(header(STORE_IO)?.trim().toLowerCase() ?? ''),
    runnerHint: header(RUNNER_HINT),
    objectLifecycle: header(OBJECT_LIFECYCLE),
  }
}

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === '') return undefined
  const seconds = Number(text)
  return Number.isFinite(seconds) && seconds >= SMALLEST_START_TIMEOUT ? seconds : undefined
}

/** `1`/`true`/`yes`: the spellings of a flag in headers and queries (JS sends `1`, Python `true`). */
export function isTrue(text: string | undefined): boolean {
  return text !== undefined && TRUE_WORDS.has(text.trim().toLowerCase())
}
