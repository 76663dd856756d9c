import { SETTING_NAMES } from '../config/settings.ts'
import { unknownSettings } from '../config/unknown-settings.ts'
import { editDistance } from '../endpoints/edit-distance.ts'

/** Letters that a name may differ by and still be meant. */
const SLIP = 3

/** A line for each variable of the environment that looks like a setting and is none: it would be ignored without a word. */
export function settingWarnings(names: readonly string[] = unknownSettings()): readonly string[] {
  return names.map((name) => {
    const [near] = SETTING_NAMES.map((known) => ({ known, distance: editDistance(name, known) }))
      .filter(({ distance }) => distance <= SLIP)
      .sort((a, b) => a.distance - b.distance)
    const advice = near === undefined ? 'docs/guide/settings.md has them all' : `did you mean ${near.known}?`
    return `darkroom: ${name} is no setting and is ignored; ${advice}`
  })
}
