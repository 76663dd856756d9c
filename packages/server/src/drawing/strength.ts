import { noStepMessage, stepsAtStrength } from '@darkroom/engine'
import { fieldError } from '../errors/errors.ts'

/**
 * Refuses a strength that leaves no step to run, before the picture is fetched.
 * @throws WireError 422 naming the field
 */
export function requireSteps(steps: number, strength: number, field = 'strength'): void {
  if (stepsAtStrength(steps, strength) < 1) throw fieldError(field, 'value_error', noStepMessage(steps, strength))
}

/** Steps of the training that a distilled model's schedule is picked out of; other configs have hardly any. */
const DISTILLED_STEPS = 50

/**
 * As `requireSteps`, for models of any kind: one that was distilled with a guidance embedding runs all steps of a schedule that the
 * strength shortens, so that only what leaves neither kind a schedule can be refused before the model is known.
 * @throws WireError 422 naming the field
 */
export function requireStepsOfAnyModel(steps: number, strength: number, field: string): void {
  if (steps > Math.trunc(DISTILLED_STEPS * strength)) requireSteps(steps, strength, field)
}
