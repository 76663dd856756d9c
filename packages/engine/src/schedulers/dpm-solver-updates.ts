import { type FloatTensor, map } from '../tensor/tensor.ts'
import { linearCombination, type Term } from './linear-combination.ts'

const { exp, fround, log, sqrt } = Math

/** A noise level in the variance-preserving view: x = alpha · x₀ + sigma · ε, lambda = log(alpha / sigma). */
export interface Level {
  readonly alpha: number
  readonly sigma: number
  readonly lambda: number
}

export interface Update {
  readonly sample: FloatTensor
  /** Predicted originals, that of this step first. */
  readonly originals: readonly FloatTensor[]
  /** Level to reach, level of `sample`, then those of the earlier originals. */
  readonly levels: readonly Level[]
  /** Standard normal, for the stochastic form; undefined makes the update deterministic. */
  readonly noise: FloatTensor | undefined
  readonly heun: boolean
}

/** The level of a k-diffusion sigma; at sigma 0 lambda is +∞. */
export function levelOf(kSigma: number): Level {
  const alpha = fround(1 / fround(sqrt(fround(fround(kSigma ** 2) + 1))))
  const sigma = fround(kSigma * alpha)
  return { alpha, sigma, lambda: fround(fround(log(alpha)) - fround(log(sigma))) }
}

/** dpm_solver_first_order_update: DDIM's step. */
export function firstOrderUpdate(update: Update): FloatTensor {
  const { fromSample, fromOriginal, noise } = coefficients(update)
  return linearCombination([fromSample, update.sample], [fromOriginal, original(update, 0)], ...noise)
}

/** multistep_dpm_solver_second_order_update. */
export function secondOrderUpdate(update: Update): FloatTensor {
  const { fromSample, fromOriginal, noise, step } = coefficients(update)
  const r0 = fround(stepBetween(update, 1) / step)
  const d0 = original(update, 0)
  const d1 = dividedBy(r0, d0, original(update, 1))
  const fromSlope = update.heun ? heunCoefficient(update) : fround(0.5 * fromOriginal)
  return linearCombination([fromSample, update.sample], [fromOriginal, d0], [fromSlope, d1], ...noise)
}

/** multistep_dpm_solver_third_order_update. */
export function thirdOrderUpdate(update: Update): FloatTensor {
  const { fromSample, fromOriginal, noise, step } = coefficients(update)
  const r0 = fround(stepBetween(update, 1) / step)
  const r1 = fround(stepBetween(update, 2) / step)
  const sum = fround(r0 + r1)
  const d0 = original(update, 0)
  const newer = dividedBy(r0, d0, original(update, 1))
  const older = dividedBy(r1, original(update, 1), original(update, 2))
  const bend = linearCombination([1, newer], [-1, older])
  const d1 = linearCombination([1, newer], [fround(r0 / sum), bend])
  const d2 = linearCombination([fround(1 / sum), bend])
  return linearCombination(
    [fromSample, update.sample],
    [fromOriginal, d0],
    [heunCoefficient(update), d1],
    [curvatureCoefficient(update), d2],
    ...noise,
  )
}

/** lambda travelled by this update (0) or by the one `back` steps ago. */
function stepBetween({ levels }: Update, back: number): number {
  return fround(level(levels, back).lambda - level(levels, back + 1).lambda)
}

/** e^(−h) − 1, with h counted double in the stochastic form. */
function decayMinusOne(update: Update): number {
  return fround(fround(exp(-exponent(update))) - 1)
}

function exponent(update: Update): number {
  const step = stepBetween(update, 0)
  return update.noise ? fround(2 * step) : step
}

function coefficients(update: Update) {
  const to = level(update.levels, 0)
  const from = level(update.levels, 1)
  const step = stepBetween(update, 0)
  const decay = decayMinusOne(update)
  const ratio = fround(to.sigma / from.sigma)
  const noise: Term[] = update.noise ? [[fround(to.sigma * fround(sqrt(-decay))), update.noise]] : []
  return {
    step,
    fromSample: update.noise ? fround(ratio * fround(exp(-step))) : ratio,
    fromOriginal: fround(to.alpha * -decay),
    noise,
  }
}

/** α·((e^(−h) − 1)/h + 1), the integral that weighs the first difference in Heun's form and in order 3. */
function heunCoefficient(update: Update): number {
  const { alpha } = level(update.levels, 0)
  return fround(alpha * fround(fround(decayMinusOne(update) / exponent(update)) + 1))
}

/**
 * −α·((e^(−h) − 1 + h)/h² − ½), the integral that weighs the second difference in order 3. diffusers' stochastic form
 * has + ½ there; the picture must be the same, so it stays.
 */
function curvatureCoefficient(update: Update): number {
  const { alpha } = level(update.levels, 0)
  const h = exponent(update)
  const quotient = fround(fround(decayMinusOne(update) + h) / fround(h ** 2))
  return fround(-alpha * fround(quotient + (update.noise ? 0.5 : -0.5)))
}

/** (newer − older) / r */
function dividedBy(r: number, newer: FloatTensor, older: FloatTensor): FloatTensor {
  const factor = fround(1 / r)
  return map((a, b) => factor * fround(a - b), newer, older)
}

function level(levels: readonly Level[], index: number): Level {
  const found = levels[index]
  if (!found) throw new RangeError(`an update of this order needs ${index + 1} noise levels, got ${levels.length}`)
  return found
}

function original({ originals }: Update, index: number): FloatTensor {
  const found = originals[index]
  if (!found) throw new RangeError(`an update of this order needs ${index + 1} originals, got ${originals.length}`)
  return found
}
