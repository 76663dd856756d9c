import type { ProcessLog } from '../../src/log/process-log.ts'

/** Plain functions: a test takes those over that it does not listen to. */
export const SILENT_LOG: ProcessLog = { debug() {}, info() {}, warn() {}, error() {} }
