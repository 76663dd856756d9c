import { defined } from '../tensor/defined.ts'
import { type ConfigOf, flag, integer, number, numbersOrNull, oneOf } from './scheduler-options.ts'
import { linspaceFloat32 } from './spacing.ts'

const { fround, sqrt } = Math

type BetaSchedule = 'linear' | 'scaled_linear' | 'squaredcos_cap_v2'

/** The config keys from which every scheduler derives its noise schedule. */
export function noiseScheduleOptions(betaStart: number, betaEnd: number, betaSchedule: BetaSchedule) {
  return {
    num_train_timesteps: integer(1000, 1),
    beta_start: number(betaStart),
    beta_end: number(betaEnd),
    beta_schedule: oneOf<BetaSchedule>(['linear', 'scaled_linear', 'squaredcos_cap_v2'], betaSchedule),
    trained_betas: numbersOrNull(),
    rescale_betas_zero_snr: flag(false),
  }
}

type NoiseScheduleConfig = ConfigOf<ReturnType<typeof noiseScheduleOptions>>

/**
 * Cumulative product of (1 − β) over the training timesteps, float32 [num_train_timesteps]: how much signal is left
 * at each. With `rescale_betas_zero_snr` the last one is exactly 0 (arXiv 2305.08891, algorithm 1).
 */
export function alphasCumprod(config: NoiseScheduleConfig): Float32Array {
  const betas = betasOf(config)
  return cumulativeAlphas(config.rescale_betas_zero_snr ? rescaleZeroTerminalSnr(betas) : betas)
}

/**
 * `alphasCumprod` for the sigma-based schedulers: the 0 of a zero-SNR schedule becomes 2⁻²⁴ (float16's smallest
 * positive number), which keeps the largest sigma finite.
 */
export function alphasCumprodWithFiniteSigma(config: NoiseScheduleConfig): Float32Array {
  const alphas = alphasCumprod(config)
  if (config.rescale_betas_zero_snr) alphas[alphas.length - 1] = 2 ** -24
  return alphas
}

function betasOf(config: NoiseScheduleConfig): Float32Array {
  const { trained_betas, beta_start, beta_end, num_train_timesteps: count } = config
  if (trained_betas) return Float32Array.from(trained_betas)
  switch (config.beta_schedule) {
    case 'linear':
      return linspaceFloat32(beta_start, beta_end, count)
    case 'scaled_linear':
      return linspaceFloat32(sqrt(beta_start), sqrt(beta_end), count).map((root) => root * root)
    case 'squaredcos_cap_v2':
      return Float32Array.from({ length: count }, (_, i) =>
        Math.min(1 - cosineAlphaBar((i + 1) / count) / cosineAlphaBar(i / count), 0.999),
      )
  }
}

function cosineAlphaBar(t: number): number {
  return Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2
}

/** torch's float32 `cumprod` on a CPU accumulates in double and rounds each output. */
function cumulativeAlphas(betas: Float32Array): Float32Array {
  let product = 1
  return betas.map((beta) => {
    product *= fround(1 - beta)
    return product
  })
}

function rescaleZeroTerminalSnr(betas: Float32Array): Float32Array {
  const roots = cumulativeAlphas(betas).map(sqrt)
  const first = defined(roots[0])
  const last = defined(roots[roots.length - 1])
  const scale = fround(first / fround(first - last))
  const alphaBars = roots.map((root) => fround(fround(root - last) * scale) ** 2)
  return alphaBars.map((alphaBar, i) => 1 - fround(i === 0 ? alphaBar : alphaBar / defined(alphaBars[i - 1])))
}
