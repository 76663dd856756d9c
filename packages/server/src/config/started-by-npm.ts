import type { Environment } from './config.ts'

/** Whether npm started this process: `npx darkroom`, `npm start`. It and its shell end on SIGTERM and tell nobody. */
export function isStartedByNpm(environment: Environment = process.env): boolean {
  return environment.npm_lifecycle_event !== undefined
}

/** What to type for this program: a clone that npm started (`npm start`, `npx`) has put no `darkroom` among the shell's commands. */
export function ownCommand(isClone: boolean, environment: Environment = process.env): string {
  return isClone && isStartedByNpm(environment) ? 'npx @darkroom/server' : 'darkroom'
}
