import { defined } from '../tensor/defined.ts'

const { fround, sqrt, log, max, min } = Math

/** √((1−ᾱ)/ᾱ) at every training timestep, float32, ascending: the noise level k-diffusion's samplers work with. */
export function trainingSigmas(alphas: Float32Array): Float32Array {
  return alphas.map((alpha) => sqrt(fround(fround(1 - alpha) / alpha)))
}

/** numpy.interp of a table at its own indices: linear in double, held at both ends. */
export function interpolate(table: Float32Array, position: number): number {
  const last = table.length - 1
  const below = Math.floor(position)
  if (below < 0) return defined(table[0])
  if (below >= last) return defined(table[last])
  const low = defined(table[below])
  return (defined(table[below + 1]) - low) * (position - below) + low
}

/** The noise levels of Karras et al. (arXiv 2206.00364, formula 5, ρ = 7) from `sigmaMax` down to `sigmaMin`. */
export function karrasSigmas(sigmaMax: number, sigmaMin: number, ramp: readonly number[]): number[] {
  const rho = 7
  const largest = sigmaMax ** (1 / rho)
  const smallest = sigmaMin ** (1 / rho)
  return ramp.map((r) => (largest + r * (smallest - largest)) ** rho)
}

/** The (fractional) timestep at which training had a given log sigma, by linear interpolation between log sigmas. */
export function timestepOfLogSigma(logSigma: number, logSigmas: Float32Array): number {
  // diffusers' argmax of a cumulative count: the last entry not above, or 0 when all are above
  let low = logSigmas.findLastIndex((entry) => logSigma - entry >= 0)
  low = min(max(low, 0), logSigmas.length - 2)
  const below = defined(logSigmas[low])
  const above = defined(logSigmas[low + 1])
  const weight = min(max((below - logSigma) / fround(below - above), 0), 1)
  return (1 - weight) * low + weight * (low + 1)
}

/** Natural logarithms of float32 values, float32. */
export function logarithms(values: Float32Array): Float32Array {
  return values.map(log)
}
