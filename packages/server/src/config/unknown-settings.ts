import type { Environment } from './config.ts'
import { SETTING_NAMES } from './settings.ts'

/** Of the tests and of examples, not of the server. */
const NOT_OF_THE_SERVER = /^DARKROOM_(TEST_|URL$)/

/** Variables that look like settings and are none: mostly a slip of the hand. */
export function unknownSettings(environment: Environment = process.env): readonly string[] {
  const known = new Set<string>(SETTING_NAMES)
  return Object.keys(environment).filter(
    (name) => name.startsWith('DARKROOM_') && !known.has(name) && !NOT_OF_THE_SERVER.test(name),
  )
}
