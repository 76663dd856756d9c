import type { Outage } from '../errors/errors.ts'

/**
 * unavailable: the server cannot be reached, or another process holds the file for too long; trying again may help.
 * full: no space left. readonly: the file or folder cannot be written. constraint: the data was refused.
 */
export type DatabaseFailure = 'unavailable' | 'full' | 'readonly' | 'corrupt' | 'constraint' | 'other'

/** A statement that failed, in words that say what to do. The driver's own error is the `cause`. */
export class DatabaseError extends Error implements Outage {
  override readonly name = 'DatabaseError'
  readonly failure: DatabaseFailure

  constructor(failure: DatabaseFailure, message: string, cause?: unknown) {
    super(message, { cause })
    this.failure = failure
  }

  /** True where the same call may succeed later, unchanged. */
  get retryable(): boolean {
    return this.failure === 'unavailable' || this.failure === 'full'
  }

  get outage(): string | undefined {
    return OUTAGES[this.failure]
  }
}

const OUTAGES: Readonly<Partial<Record<DatabaseFailure, string>>> = {
  unavailable: "This server's database does not answer at the moment: try again",
  full: 'This server has no space left for requests',
  readonly: 'This server cannot write its database at the moment',
}

const ADVICE: Readonly<Record<DatabaseFailure, string>> = {
  unavailable: 'see that it runs, can be reached from here and is not held by another program',
  full: 'free some space on its disk; what was accepted is safe',
  readonly: 'make its folder and files writable for this user',
  corrupt: 'stop the server, keep a copy, and restore a backup',
  constraint: 'the row contradicts one that is stored',
  other: 'see the cause',
}

/**
 * Wraps a driver's error; `where` names the file or server. Other errors (a WireError thrown by the work) pass.
 * @param codeOf the driver's code for an error that carries none
 */
export function databaseError(
  error: unknown,
  where: string,
  failureOf: (code: string) => DatabaseFailure,
  codeOf: (message: string) => string | undefined = () => undefined,
): unknown {
  if (!(error instanceof Error) || error instanceof DatabaseError) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.message)
  if (code === undefined) return error
  const failure = failureOf(code)
  return new DatabaseError(failure, `Database ${where}: ${error.message} (${code}); ${ADVICE[failure]}.`, error)
}
