import type { FloatTensor } from '../tensor/tensor.ts'

/** Embeddings of one prompt take some 0.3 MB (SD1.5) or 1 MB (SDXL). */
const MOST = 32

/**
 * What a text encoder gave for the inputs that came last, by a key for them: the empty negative prompt, and a prompt that is drawn with
 * several seeds or typed letter by letter, come again and again.
 */
export class EmbeddingMemory {
  /** Least recently used first. */
  readonly #known = new Map<string, Promise<readonly FloatTensor[]>>()

  /** @param encode is called where nothing is known; what it throws is not kept */
  get(key: string, encode: () => Promise<readonly FloatTensor[]>): Promise<readonly FloatTensor[]> {
    const known = this.#known.get(key) ?? encode()
    this.#known.delete(key)
    this.#known.set(key, known)
    known.catch(() => this.#known.delete(key))
    const [oldest] = this.#known.keys()
    if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest)
    return known
  }
}
