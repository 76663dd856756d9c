import { LearnedTokens } from '../adapters/learned-tokens.ts'
import type { LoraBranches } from '../adapters/lora-branches.ts'
import type { Adaptable } from '../adapters/lora-match.ts'
import type { TokenVectors } from '../adapters/textual-inversion.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { buildTextEncoderGraph, eosPositions, type TextEncoderOutput } from '../models/clip-text.ts'
import type { ClipTextConfig } from '../models/clip-text-config.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import { concatenate, expectFloat32, type FloatTensor, int64 } from '../tensor/tensor.ts'
import type { ClipTokenizer } from '../tokenizers/clip-tokenizer.ts'
import { EmbeddingMemory } from './embedding-memory.ts'

/** What the UNet is conditioned on for one half of the guidance: embeddings of one prompt. */
export interface PromptConditioning {
  /** [1, tokens, cross_attention_dim] */
  readonly embeds: FloatTensor
  /** Pooled embedding of the second text encoder, [1, projection_dim]; SDXL alone has one. */
  readonly pooledEmbeds?: FloatTensor
}

/** What a request adds to one text encoder. */
export interface TextEncoderAdapters {
  readonly lora?: LoraBranches
}

/** A CLIP text encoder with its tokenizer. */
export class TextEncoder implements Adaptable {
  readonly config: ClipTextConfig
  readonly tokenizer: ClipTokenizer
  readonly layers: Adaptable['layers']
  readonly parameters: Adaptable['parameters']
  readonly weights: Weights
  readonly #sessions: SessionCache
  readonly #learned: LearnedTokens | undefined
  readonly #memory = new EmbeddingMemory()
  /** By the LoRAs that were applied, as long as somebody holds them. */
  readonly #memories = new WeakMap<LoraBranches, EmbeddingMemory>()

  /** @param learned vectors of tokens that `tokenizer` knows and the weights do not */
  constructor(
    tokenizer: ClipTokenizer,
    config: ClipTextConfig,
    weights: Weights,
    sessions: SessionCache,
    { layers, parameters }: Adaptable,
    learned?: LearnedTokens,
  ) {
    this.tokenizer = tokenizer
    this.config = config
    this.layers = layers
    this.parameters = parameters
    this.weights = weights
    this.#sessions = sessions
    this.#learned = learned
  }

  /**
   * This encoder with more words (textual inversion); the weights are the same.
   * @throws TokenizerError for a word that is empty or exists already
   */
  withTokens(words: readonly TokenVectors[]): TextEncoder {
    const learned = this.#learned?.and(words) ?? new LearnedTokens(this.tokenizer.vocabSize, words)
    const placeholders = words.map(({ token, vectors }) => ({ token, vectors: defined(vectors.shape[0]) }))
    const tokenizer = this.tokenizer.withPlaceholders(placeholders)
    return new TextEncoder(tokenizer, this.config, this.weights, this.#sessions, this, learned)
  }

  /** The outputs asked for of a prompt, cut and padded to the encoder's length: each [1, tokens, hidden size], and `text_embeds` [1, projection size]. */
  async encode(
    prompt: string,
    outputs: readonly TextEncoderOutput[],
    adapters: TextEncoderAdapters = {},
  ): Promise<readonly FloatTensor[]> {
    const ids = this.tokenizer.encode(prompt, { maxLength: this.config.maxPositions })
    return this.encodeIds(ids, outputs, adapters)
  }

  /** The same of token ids, start and end included, at most the encoder's length. What was asked before is not worked out again. */
  async encodeIds(
    ids: readonly number[],
    outputs: readonly TextEncoderOutput[],
    { lora }: TextEncoderAdapters = {},
  ): Promise<readonly FloatTensor[]> {
    return this.#memoryOf(lora).get([...outputs, ...ids].join(), () => this.#run(ids, outputs, lora))
  }

  #memoryOf(lora: LoraBranches | undefined): EmbeddingMemory {
    const memory = lora === undefined ? this.#memory : (this.#memories.get(lora) ?? new EmbeddingMemory())
    if (lora !== undefined) this.#memories.set(lora, memory)
    return memory
  }

  async #run(
    ids: readonly number[],
    outputs: readonly TextEncoderOutput[],
    lora: LoraBranches | undefined,
  ): Promise<FloatTensor[]> {
    const tokens = ids.length
    const insertsEmbeddings = this.#learned !== undefined
    const variant = [tokens, ...outputs, lora?.variant ?? '', insertsEmbeddings].join()
    const session = await this.#sessions.get(this.weights, variant, () =>
      buildTextEncoderGraph(
        this.config,
        { batch: 1, tokens, outputs, insertsEmbeddings },
        lora && ((graph) => lora.hook(graph)),
      ),
    )
    const pooled = outputs.includes('text_embeds')
    const feeds = {
      ...(this.#learned?.feeds(ids) ?? { input_ids: int64([1, tokens], ids) }),
      ...(pooled && { eos_positions: int64([1], eosPositions(this.config, [ids])) }),
    }
    const results = await session.run(feeds, lora?.lasting)
    return outputs.map((name) => expectFloat32(results[name]))
  }

  /** The end of a prompt that `encode` leaves out, lower-cased, or the beginning of that end; undefined where it fits. */
  droppedPart(prompt: string): string | undefined {
    const read = this.config.maxPositions - 2
    const dropped = this.tokenizer.tokenize(prompt, read + MOST_TOLD).slice(read)
    return dropped.length > 0 ? this.tokenizer.decode(dropped) : undefined
  }
}

/** Tokens of a prompt that was cut which are told: a long text is not read to its end for it. */
export const MOST_TOLD = 1_000

/** What a request adds to the text encoders of a checkpoint, by the component's name. */
export type TextAdapters = Readonly<Partial<Record<'text_encoder' | 'text_encoder_2', TextEncoderAdapters>>>

/** The text encoders of a checkpoint; SDXL has two. */
export class TextEncoders {
  readonly first: TextEncoder
  readonly second: TextEncoder | undefined

  constructor(first: TextEncoder, second?: TextEncoder) {
    this.first = first
    this.second = second
  }

  get weights(): readonly Weights[] {
    return [this.first, ...(this.second ? [this.second] : [])].map(({ weights }) => weights)
  }

  /**
   * The prompt embeds that a UNet is conditioned on.
   *
   * SD 1.x: the last hidden state; with clip skip k the one k layers earlier, under the final norm all the same.
   * SDXL: both encoders' penultimate hidden states side by side, without a final norm; with clip skip k, k layers earlier; and the
   * second encoder's pooled output, which clip skip leaves alone.
   * @param clipSkip hidden layers left out at the end; 0 for none
   * @throws RangeError when clip skip leaves no layer
   */
  async encode(prompt: string, clipSkip: number, adapters: TextAdapters = {}): Promise<PromptConditioning> {
    const { text_encoder, text_encoder_2 } = adapters
    if (!this.second) {
      const output = clipSkip === 0 ? 'last_hidden_state' : (`normalized_hidden_states.${-(clipSkip + 1)}` as const)
      const [embeds] = await this.first.encode(prompt, [output], text_encoder)
      return { embeds: defined(embeds) }
    }
    const hidden = `hidden_states.${-(clipSkip + 2)}` as const
    const [embeds] = await this.first.encode(prompt, [hidden], text_encoder)
    const [embeds2, pooledEmbeds] = await this.second.encode(prompt, [hidden, 'text_embeds'], text_encoder_2)
    return {
      embeds: concatenate([defined(embeds), defined(embeds2)], -1),
      pooledEmbeds: defined(pooledEmbeds),
    }
  }
}
