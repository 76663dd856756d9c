import type { Environment } from './config.ts'

/** Whether npm started this process: `npx darkroom`, `npm start`. It and its shell end on SIGTERM and tell nobody. */
export function isStartedByNpm(environment: Environment = process.env): boolean {
  return environment.npm_lifecycle_event !== undefined
}
