import pino, { type Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { RunnerLogger } from '../runner/runner-logger.ts'

/** The process's log: JSON lines on standard error, which leaves standard output to the command's own words. */
export function createLogger(config: Pick<Config, 'logLevel'>): Logger {
  return pino({ level: config.logLevel }, pino.destination(2))
}

/** The log as runner and supervisor write to it. */
export function runnerLogger(log: Logger): RunnerLogger {
  return {
    info: (message, details = {}) => log.info(details, message),
    warn: (message, details = {}) => log.warn(details, message),
    error: (message, details = {}) => log.error(details, message),
  }
}
