import { createProcessLog } from '../../src/log/process-log.ts'

export const SILENT_LOG = createProcessLog('silent')
