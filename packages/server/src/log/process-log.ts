import pino, { type LevelWithSilent } from 'pino'

/** An Error goes by the name `err`: under any other, JSON leaves nothing of it. */
interface LogFields {
  readonly [name: string]: unknown
  readonly error?: string
}

/** What a process reports, apart from the logs of requests. */
export interface ProcessLog {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

/**
 * JSON lines on standard error, which leaves standard output to the command's own words.
 * @param fields are part of every line
 */
export function createProcessLog(level: LevelWithSilent, fields: object = {}): ProcessLog {
  return pino({ level }, pino.destination(2)).child(fields)
}
