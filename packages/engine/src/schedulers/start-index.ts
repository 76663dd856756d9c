import { type Scheduler, SchedulerError } from './scheduler.ts'

/**
 * Index into `scheduler.timesteps` where image-to-image of the given strength starts, after `setTimesteps`.
 * The arithmetic of StableDiffusionImg2ImgPipeline.get_timesteps: int(N · strength) in double, truncated, so that
 * strength 0.29 of 100 steps (28.999999999999996) runs 28.
 * @param strength 0…1; 1 runs the whole schedule
 * @throws SchedulerError when the strength is out of range, or leaves no step to run (where diffusers crashes later)
 */
export function startIndex(scheduler: Scheduler, strength: number): number {
  const { className, numInferenceSteps, order } = scheduler
  if (!(strength >= 0 && strength <= 1)) {
    throw new SchedulerError(className, 'strength', `strength must be between 0 and 1, got ${strength}`)
  }
  const steps = stepsAtStrength(numInferenceSteps, strength)
  if (steps < 1) throw new SchedulerError(className, 'strength', noStepMessage(numInferenceSteps, strength))
  return (numInferenceSteps - steps) * order
}

/** How many of its steps image-to-image runs: the last int(N · strength). */
export function stepsAtStrength(numInferenceSteps: number, strength: number): number {
  return Math.min(Math.trunc(numInferenceSteps * strength), numInferenceSteps)
}

export function noStepMessage(numInferenceSteps: number, strength: number): string {
  return `strength ${strength} of ${numInferenceSteps} steps leaves no step to run; raise the strength or the steps`
}
