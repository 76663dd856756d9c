import { type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import { BLOCK_SIZE, boxMullerBlock, MEAN } from './box-muller.ts'
import { Mt19937 } from './mt19937.ts'

const SMALLEST_SEED = -(2n ** 63n)
const LARGEST_SEED = 2n ** 64n - 1n

/**
 * `torch.Generator('cpu')`: the same seed and the same draws in the same order give the same float32 values, bit for
 * bit as torch 2.13 gives them on a processor with AVX2.
 *
 * A generator has state: each draw continues where the last one stopped.
 */
export class TorchGenerator {
  /** The seed as torch reports it (`initial_seed()`), 0 … 2^64-1. */
  readonly seed: bigint
  readonly #engine: Mt19937
  /** The second normal of the last pair that a draw of fewer than 16 elements made; draws of 16 and more leave it. */
  #cachedNormal: number | undefined

  /**
   * @param seed -2^63 … 2^64-1. Negative seeds mean 2^64 + seed. torch draws from the low 32 bits alone, so seeds that
   *   differ by a multiple of 2^32 give the same values.
   * @throws RangeError for any other number
   */
  constructor(seed: number | bigint) {
    if (typeof seed === 'number' && !Number.isSafeInteger(seed)) {
      throw new RangeError(`a seed is an integer, and beyond 2^53 a bigint, so that no digit is lost; got ${seed}`)
    }
    const integer = BigInt(seed)
    if (integer < SMALLEST_SEED || integer > LARGEST_SEED) {
      throw new RangeError(`a seed lies between ${SMALLEST_SEED} and ${LARGEST_SEED}, got ${integer}`)
    }
    this.seed = BigInt.asUintN(64, integer)
    this.#engine = new Mt19937(Number(BigInt.asUintN(32, integer)))
  }

  /** `torch.randn(shape)`: standard normals, in memory order of a contiguous tensor. */
  randn(shape: Shape): FloatTensor {
    const tensor = float32(shape)
    if (tensor.data.length < BLOCK_SIZE) this.#fillNormalsOneByOne(tensor.data)
    else this.#fillNormalsInBlocks(tensor.data)
    return tensor
  }

  /** `torch.rand(shape)`: uniforms in [0, 1). */
  rand(shape: Shape): FloatTensor {
    const tensor = float32(shape)
    this.#fillUniforms(tensor.data, 0)
    return tensor
  }

  #fillUniforms(data: Float32Array, start: number): void {
    for (let i = start; i < data.length; i++) data[i] = (this.#engine.nextUint32() & 0xffffff) * 2 ** -24
  }

  #fillNormalsInBlocks(data: Float32Array): void {
    this.#fillUniforms(data, 0)
    const lastBlock = data.length - BLOCK_SIZE
    for (let start = 0; start <= lastBlock; start += BLOCK_SIZE) boxMullerBlock(data, start)
    if (data.length % BLOCK_SIZE !== 0) {
      // As torch does: the last 16 elements are drawn anew, over some that are already normals.
      this.#fillUniforms(data, lastBlock)
      boxMullerBlock(data, lastBlock)
    }
  }

  #fillNormalsOneByOne(data: Float32Array): void {
    for (let i = 0; i < data.length; i++) data[i] = this.#nextNormal()
  }

  #nextNormal(): number {
    const cached = this.#cachedNormal
    if (cached !== undefined) {
      this.#cachedNormal = undefined
      return cached
    }
    const angle = 2 * Math.PI * this.#nextDouble()
    const radius = Math.sqrt(-2 * Math.log1p(-this.#nextDouble()))
    this.#cachedNormal = radius * Math.sin(angle) + MEAN
    return radius * Math.cos(angle) + MEAN
  }

  /** A uniform double in [0, 1) with 53 random bits. */
  #nextDouble(): number {
    const high = this.#engine.nextUint32() & 0x1fffff
    return (high * 2 ** 32 + this.#engine.nextUint32()) * 2 ** -53
  }
}
