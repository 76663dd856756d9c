import type { Weights } from '../checkpoint/prepared-weights.ts'
import { buildTextEncoderGraph, eosPositions, type TextEncoderOutput } from '../models/clip-text.ts'
import type { ClipTextConfig } from '../models/clip-text-config.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { type FloatTensor, int64 } from '../tensor/tensor.ts'
import type { ClipTokenizer } from '../tokenizers/clip-tokenizer.ts'

/** A CLIP text encoder with its tokenizer. */
export class TextEncoder {
  readonly #tokenizer: ClipTokenizer
  readonly #config: ClipTextConfig
  readonly #weights: Weights
  readonly #sessions: SessionCache

  constructor(tokenizer: ClipTokenizer, config: ClipTextConfig, weights: Weights, sessions: SessionCache) {
    this.#tokenizer = tokenizer
    this.#config = config
    this.#weights = weights
    this.#sessions = sessions
  }

  /** The outputs asked for, each [1, tokens, hidden size], and `text_embeds` [1, projection size]. */
  async encode(prompt: string, outputs: readonly TextEncoderOutput[]): Promise<FloatTensor[]> {
    const ids = this.#tokenizer.encode(prompt, { maxLength: this.#config.maxPositions })
    const session = await this.#sessions.get(this.#weights, outputs.join(), () =>
      buildTextEncoderGraph(this.#config, { batch: 1, outputs }),
    )
    const pooled = outputs.includes('text_embeds')
    const results = await session.run({
      input_ids: int64([1, ids.length], ids),
      ...(pooled && { eos_positions: int64([1], eosPositions(this.#config, [ids])) }),
    })
    return outputs.map((name) => results[name] as FloatTensor)
  }
}
