import { fusedMultiplyAdd } from './fused-multiply-add.ts'

/** Normals are made from blocks of 16 uniforms: 8 radii, then 8 angles. */
export const BLOCK_SIZE = 16
const PAIRS = BLOCK_SIZE / 2

/** Adding the mean turns -0 into 0, as in torch; one normal in 2^24 is zero. */
export const MEAN = 0

const { fround } = Math
const TWO_PI = fround(2 * Math.PI)
const SQRT_HALF = fround(Math.SQRT1_2)
const FOUR_OVER_PI = fround(1.27323954473516)

// Coefficients of the Cephes single-precision functions, as float32 (ATen/native/cpu/avx_mathfun.h).
const LOG_P0 = fround(7.0376836292e-2)
const LOG_P1 = fround(-1.151461031e-1)
const LOG_P2 = fround(1.167699874e-1)
const LOG_P3 = fround(-1.2420140846e-1)
const LOG_P4 = fround(1.4249322787e-1)
const LOG_P5 = fround(-1.6668057665e-1)
const LOG_P6 = fround(2.0000714765e-1)
const LOG_P7 = fround(-2.4999993993e-1)
const LOG_P8 = fround(3.3333331174e-1)
const LN2_LOW = fround(-2.1219444e-4)
const LN2_HIGH = fround(0.693359375)

// pi/4 in three parts, so that subtracting a multiple of it keeps float32's precision.
const QUARTER_PI_1 = fround(0.78515625)
const QUARTER_PI_2 = fround(2.4187564849853516e-4)
const QUARTER_PI_3 = fround(3.774894977445941e-8)
const COS_P0 = fround(2.443315711809948e-5)
const COS_P1 = fround(-1.388731625493765e-3)
const COS_P2 = fround(4.166664568298827e-2)
const SIN_P0 = fround(-1.9515295891e-4)
const SIN_P1 = fround(8.3321608736e-3)
const SIN_P2 = fround(-1.6666654611e-1)

const floatBits = new Float32Array(1)
const intBits = new Uint32Array(floatBits.buffer)

/**
 * Turns the 16 uniforms in [0, 1) at `data[start …]` into normals in place, bit for bit as torch's AVX2 kernel
 * (`normal_fill_16_AVX2`, ATen/native/cpu/DistributionTemplates.h). torch on processors without AVX2 uses the C library's
 * functions instead and differs by about 1e-6.
 */
export function boxMullerBlock(data: Float32Array, start: number): void {
  for (let i = start; i < start + PAIRS; i++) {
    const radius = fround(Math.sqrt(fround(-2 * log(fround(1 - (data[i] as number))))))
    const angle = fround(TWO_PI * (data[i + PAIRS] as number))
    const octant = (Math.trunc(fround(angle * FOUR_OVER_PI)) + 1) & ~1
    const x = reduceAngle(angle, octant)
    const z = fround(x * x)
    const even = cosPolynomial(z)
    const odd = sinPolynomial(x, z)
    const cos = (octant & 2) === 0 ? even : odd
    const sin = (octant & 2) === 0 ? odd : even
    data[i] = radius * ((octant + 2) & 4 ? -cos : cos) + MEAN
    data[i + PAIRS] = radius * (octant & 4 ? -sin : sin) + MEAN
  }
}

/** Natural logarithm of a normal float32 in (0, 1]. */
function log(value: number): number {
  floatBits[0] = value
  const bits = intBits[0] as number
  let exponent = (bits >>> 23) - 126
  intBits[0] = (bits & 0x007fffff) | 0x3f000000
  const mantissa = floatBits[0] as number
  let x = fround(mantissa - 1)
  if (mantissa < SQRT_HALF) {
    exponent -= 1
    x = fround(x + mantissa)
  }
  const z = fround(x * x)
  let y = fusedMultiplyAdd(LOG_P0, x, LOG_P1)
  y = fusedMultiplyAdd(y, x, LOG_P2)
  y = fusedMultiplyAdd(y, x, LOG_P3)
  y = fusedMultiplyAdd(y, x, LOG_P4)
  y = fusedMultiplyAdd(y, x, LOG_P5)
  y = fusedMultiplyAdd(y, x, LOG_P6)
  y = fusedMultiplyAdd(y, x, LOG_P7)
  y = fusedMultiplyAdd(y, x, LOG_P8)
  y = fusedMultiplyAdd(fround(y * x), z, fround(exponent * LN2_LOW))
  y = fusedMultiplyAdd(-0.5, z, y)
  return fusedMultiplyAdd(exponent, LN2_HIGH, fround(x + y))
}

/** `angle - octant * pi/4`. */
function reduceAngle(angle: number, octant: number): number {
  let x = fusedMultiplyAdd(octant, -QUARTER_PI_1, angle)
  x = fusedMultiplyAdd(octant, -QUARTER_PI_2, x)
  return fusedMultiplyAdd(octant, -QUARTER_PI_3, x)
}

/** cos x for z = x * x, |x| <= pi/4. */
function cosPolynomial(z: number): number {
  let y = fusedMultiplyAdd(COS_P0, z, COS_P1)
  y = fusedMultiplyAdd(y, z, COS_P2)
  return fround(fusedMultiplyAdd(fround(y * z), z, fround(-0.5 * z)) + 1)
}

/** sin x for z = x * x, |x| <= pi/4. */
function sinPolynomial(x: number, z: number): number {
  let y = fusedMultiplyAdd(SIN_P0, z, SIN_P1)
  y = fusedMultiplyAdd(y, z, SIN_P2)
  return fusedMultiplyAdd(fround(y * z), x, x)
}
