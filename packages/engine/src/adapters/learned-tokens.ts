import { concatenate, dimensions, type FloatTensor, float32, int64, type Tensor } from '../tensor/tensor.ts'
import type { TokenVectors } from './textual-inversion.ts'

/** Vectors of tokens that a text encoder's table does not have, fed to its graph beside the ids (`insertsEmbeddings`). */
export class LearnedTokens {
  readonly #firstId: number
  /** [tokens, hidden size] */
  readonly #table: FloatTensor

  /**
   * @param firstId id of the first token; the others follow
   * @param words at least one, all of one width
   */
  constructor(firstId: number, words: readonly Pick<TokenVectors, 'vectors'>[]) {
    this.#firstId = firstId
    this.#table = concatenate(words.map(({ vectors }) => vectors))
  }

  /** These, and then those of more words. */
  and(words: readonly TokenVectors[]): LearnedTokens {
    return new LearnedTokens(this.#firstId, [{ vectors: this.#table }, ...words])
  }

  /** Inputs of the graph for one prompt. The learned tokens' own ids are not in the table: the first row stands in, and counts nothing. */
  feeds(ids: readonly number[]): Readonly<Record<'input_ids' | 'inserted' | 'keep', Tensor>> {
    const [count, width] = dimensions(this.#table.shape, 2)
    const inserted = float32([1, ids.length, width])
    const keep = float32([1, ids.length, 1], new Float32Array(ids.length).fill(1))
    const known = ids.map((id, position) => {
      const row = id - this.#firstId
      if (row < 0 || row >= count) return id
      inserted.data.set(this.#table.data.subarray(row * width, (row + 1) * width), position * width)
      keep.data[position] = 0
      return 0
    })
    return { input_ids: int64([1, ids.length], known), inserted, keep }
  }
}
