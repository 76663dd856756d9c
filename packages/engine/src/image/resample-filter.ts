/** Pillow's resampling filters, by the names of `PIL.Image.Resampling` in lower case. */
export type ResampleFilter = 'nearest' | 'box' | 'bilinear' | 'bicubic' | 'lanczos'

/** The filters that are weighted sums. */
export type KernelFilter = Exclude<ResampleFilter, 'nearest'>

interface Kernel {
  /** Half the width of the kernel, in output pixels when enlarging and input pixels of the shrunk grid otherwise. */
  readonly support: number
  weight(x: number): number
}

/** Weights are fixed point with this many fractional bits: 32 less 8 for the sample and 2 for overshoot. */
export const WEIGHT_BITS = 22

/** For each output sample, the run of input samples that it is a weighted sum of. */
export interface ResampleWeights {
  readonly starts: Int32Array
  readonly lengths: Int32Array
  /** Fixed point; the run of output sample i begins at `i * stride`. */
  readonly weights: Int32Array
  readonly stride: number
}

const KERNELS: Readonly<Record<KernelFilter, Kernel>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => keysCubic(Math.abs(x)) },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

/** Keys' cubic convolution with a = -0.5 (torch and OpenCV take -0.75). */
function keysCubic(x: number): number {
  const a = -0.5
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}

/**
 * The weights that turn `inputSize` samples into `outputSize`, exactly as Pillow computes them (`precompute_coeffs` and
 * `normalize_coeffs_8bpc`, src/libImaging/Resample.c). When shrinking, the kernel widens: Pillow antialiases.
 */
export function resampleWeights(inputSize: number, outputSize: number, filter: KernelFilter): ResampleWeights {
  const kernel = KERNELS[filter]
  const scale = inputSize / outputSize
  const filterScale = Math.max(scale, 1)
  const inverseScale = 1 / filterScale
  const support = kernel.support * filterScale
  const stride = Math.ceil(support) * 2 + 1
  const starts = new Int32Array(outputSize)
  const lengths = new Int32Array(outputSize)
  const weights = new Int32Array(outputSize * stride)
  for (let i = 0; i < outputSize; i++) {
    const centre = (i + 0.5) * scale
    const start = Math.max(0, Math.trunc(centre - support + 0.5))
    const end = Math.min(inputSize, Math.trunc(centre + support + 0.5))
    const run = Array.from({ length: end - start }, (_, k) => kernel.weight((k + start - centre + 0.5) * inverseScale))
    starts[i] = start
    lengths[i] = run.length
    weights.set(fixedPoint(run), i * stride)
  }
  return { starts, lengths, weights, stride }
}

/** Scales weights to a sum of one and rounds them, halves away from zero. */
function fixedPoint(weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return weights.map((weight) => {
    const scaled = (sum === 0 ? weight : weight / sum) * 2 ** WEIGHT_BITS
    return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5))
  })
}
