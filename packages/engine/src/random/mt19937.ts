const STATE_WORDS = 624
const SHIFT_WORDS = 397
const UPPER_MASK = 0x80000000
const LOWER_MASK = 0x7fffffff
const TWIST_MATRIX = 0x9908b0df

/**
 * The 32-bit Mersenne Twister, seeded as `at::mt19937` does (ATen/core/MT19937RNGEngine.h): only the low 32 bits of a
 * seed count.
 *
 * Source: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998.
 */
export class Mt19937 {
  readonly #state = new Uint32Array(STATE_WORDS)
  #position = STATE_WORDS

  /** @param seed an unsigned 32-bit integer */
  constructor(seed: number) {
    const state = this.#state
    let word = seed >>> 0
    state[0] = word
    for (let i = 1; i < STATE_WORDS; i++) {
      word = (Math.imul(1812433253, word ^ (word >>> 30)) + i) >>> 0
      state[i] = word
    }
  }

  /** The next 32 random bits, as an unsigned integer. */
  nextUint32(): number {
    if (this.#position === STATE_WORDS) {
      twist(this.#state)
      this.#position = 0
    }
    let word = this.#state[this.#position++] as number
    word ^= word >>> 11
    word ^= (word << 7) & 0x9d2c5680
    word ^= (word << 15) & 0xefc60000
    return (word ^ (word >>> 18)) >>> 0
  }
}

/** Replaces all words of the state by the next ones, in place. */
function twist(state: Uint32Array): void {
  for (let i = 0; i < STATE_WORDS; i++) {
    const mixed =
      ((state[i] as number) & UPPER_MASK) | ((state[i + 1 === STATE_WORDS ? 0 : i + 1] as number) & LOWER_MASK)
    const source = i + SHIFT_WORDS < STATE_WORDS ? i + SHIFT_WORDS : i + SHIFT_WORDS - STATE_WORDS
    state[i] = (state[source] as number) ^ (mixed >>> 1) ^ (mixed & 1 ? TWIST_MATRIX : 0)
  }
}
