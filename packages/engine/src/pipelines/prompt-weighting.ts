import { defined } from '../tensor/defined.ts'
import { concatenate, type FloatTensor, float32, map } from '../tensor/tensor.ts'
import type { ClipTokenizer } from '../tokenizers/clip-tokenizer.ts'
import { parsePromptAttention } from '../tokenizers/prompt-attention.ts'
import { ParameterError } from './parameter-error.ts'
import {
  chunkSize,
  type PromptEmbeddings,
  type PromptEncodingOptions,
  type PromptPair,
  truncationMessage,
} from './prompt-embeddings.ts'
import { MOST_TOLD, type TextEncoder, type TextEncoderAdapters, type TextEncoders } from './text-encoders.ts'

/**
 * The most chunks of a prompt: 225 tokens, as diffusers' long prompt weighting of SD 1.x; the UNet's cross-attention grows with
 * them. SDXL's has no limit; 10 keep a request's memory bounded.
 */
const MAX_CHUNKS = { sd: 3, xl: 10 } as const

/** Token ids without start and end, and what each counts. */
interface WeightedTokens {
  readonly ids: readonly number[]
  readonly weights: readonly number[]
}

/**
 * Prompt embeds of prompts in AUTOMATIC1111's attention grammar, of any length: chunks of 75 tokens are encoded one by one and put
 * side by side.
 *
 * SD 1.x (diffusers' examples/community/lpw_stable_diffusion.py): embeddings are multiplied by their tokens' weights, then all by one number
 * that brings their mean back. SDXL (lpw_stable_diffusion_xl.py, with weights in float32): embeddings of a chunk are moved away from that of its last
 * token by their weights; the pooled embedding is the last chunk's.
 * @throws RangeError when clip skip leaves no layer; ParameterError for brackets without end, or weights beyond float32
 */
export async function encodeWeightedPrompts(
  encoders: TextEncoders,
  prompts: PromptPair,
  options: PromptEncodingOptions,
): Promise<PromptEmbeddings> {
  return encoders.second
    ? encodeForSdxl(encoders.first, encoders.second, prompts, options)
    : encodeForSd(encoders.first, prompts, options)
}

async function encodeForSd(
  encoder: TextEncoder,
  { prompt, negativePrompt }: PromptPair,
  { clipSkip, adapters, onWarning }: PromptEncodingOptions,
): Promise<PromptEmbeddings> {
  const { tokenizer } = encoder
  const read = (text: string, name: string) =>
    readTokens(text, { encoder, name, padId: tokenizer.padTokenId, maxChunks: MAX_CHUNKS.sd, onWarning })
  const positive = read(prompt, 'prompt')
  const negative = negativePrompt === undefined ? undefined : read(negativePrompt, 'negative_prompt')
  const size = chunkSize(encoder)
  const longest = Math.max(1, positive.ids.length, negative?.ids.length ?? 0)
  const length = Math.ceil(longest / size) * size
  const output = clipSkip === 0 ? 'last_hidden_state' : (`normalized_hidden_states.${-(clipSkip + 1)}` as const)
  const encode = async (tokens: WeightedTokens) => {
    const chunks = chunksOf(padTo(tokens, length, tokenizer.padTokenId), size)
    const states: FloatTensor[] = []
    for (const { ids } of chunks) {
      const [state] = await encoder.encodeIds(wrap(tokenizer, ids), [output], adapters?.text_encoder)
      states.push(defined(state))
    }
    const weights = chunks.flatMap((chunk) => [1, ...chunk.weights, 1])
    return { embeds: weighKeepingMean(concatenate(states, 1), weights) }
  }
  return { positive: await encode(positive), ...(negative && { negative: await encode(negative) }) }
}

async function encodeForSdxl(
  first: TextEncoder,
  second: TextEncoder,
  { prompt, negativePrompt }: PromptPair,
  { clipSkip, adapters, onWarning }: PromptEncodingOptions,
): Promise<PromptEmbeddings> {
  const read = (encoder: TextEncoder, text: string, name: string) =>
    readTokens(text, {
      encoder,
      name,
      padId: encoder.tokenizer.eosTokenId,
      maxChunks: MAX_CHUNKS.xl,
      // The encoders read the same text: one of them reports.
      onWarning: encoder === first ? onWarning : undefined,
    })
  const readBoth = (text: string, name: string) => ({
    first: read(first, text, name),
    second: read(second, text, name),
  })
  const positive = readBoth(prompt, 'prompt')
  const negative = negativePrompt === undefined ? undefined : readBoth(negativePrompt, 'negative_prompt')
  const lengths = [positive, ...(negative ? [negative] : [])].flatMap((both) => [
    both.first.ids.length,
    both.second.ids.length,
  ])
  const length = Math.max(...lengths)
  const encode = async (both: typeof positive, hidden: `hidden_states.${number}`) => {
    const part = (encoder: TextEncoder, tokens: WeightedTokens, own: TextEncoderAdapters | undefined) =>
      encodeAwayFromEnd(encoder, padTo(tokens, length, encoder.tokenizer.eosTokenId), hidden, own, encoder === second)
    const states = await part(first, both.first, adapters?.text_encoder)
    const states2 = await part(second, both.second, adapters?.text_encoder_2)
    return { embeds: concatenate([states.embeds, states2.embeds], -1), pooledEmbeds: defined(states2.pooled) }
  }
  return {
    positive: await encode(positive, `hidden_states.${-(clipSkip + 2)}`),
    // The negative prompt takes no part in clip skip.
    ...(negative && { negative: await encode(negative, 'hidden_states.-2') }),
  }
}

/** SDXL's chunks through one encoder; the last is as short as it is. */
async function encodeAwayFromEnd(
  encoder: TextEncoder,
  tokens: WeightedTokens,
  hidden: `hidden_states.${number}`,
  adapters: TextEncoderAdapters | undefined,
  pools: boolean,
): Promise<{ readonly embeds: FloatTensor; readonly pooled: FloatTensor | undefined }> {
  const outputs = pools ? ([hidden, 'text_embeds'] as const) : ([hidden] as const)
  const embeds: FloatTensor[] = []
  let pooled: FloatTensor | undefined
  for (const { ids, weights } of chunksOf(tokens, chunkSize(encoder))) {
    const [state, last] = await encoder.encodeIds(wrap(encoder.tokenizer, ids), outputs, adapters)
    embeds.push(moveFromLast(defined(state), [1, ...weights, 1]))
    pooled = last
  }
  return { embeds: concatenate(embeds, 1), pooled }
}

interface ReadOptions {
  readonly encoder: TextEncoder
  /** What messages call the prompt. */
  readonly name: string
  readonly padId: number
  readonly maxChunks: number
  readonly onWarning: ((message: string) => void) | undefined
}

/** Reading takes time with the square of it; no prompt that is drawn has as many. */
const MAX_BRACKETS = 5000

/** The tokens of a prompt, as many as are drawn; each part that `BREAK` ends is filled up to whole chunks. */
function readTokens(prompt: string, { encoder, name, padId, maxChunks, onWarning }: ReadOptions): WeightedTokens {
  const brackets = prompt.match(/[()[\]]/g)?.length ?? 0
  if (brackets > MAX_BRACKETS) {
    throw new ParameterError(name, `has ${brackets} brackets; with prompt weighting at most ${MAX_BRACKETS} are read`)
  }
  const { tokenizer } = encoder
  const size = chunkSize(encoder)
  const limit = maxChunks * size
  const ids: number[] = []
  const weights: number[] = []
  const append = (id: number, weight: number) => {
    ids.push(id)
    weights.push(weight)
  }
  const parts = parsePromptAttention(prompt)
  for (const [i, fragments] of parts.entries()) {
    const start = ids.length
    for (const { text, weight } of fragments) {
      if (!Number.isFinite(Math.fround(weight))) {
        throw new ParameterError(
          name,
          `brackets multiply to a weight beyond all numbers at ${JSON.stringify(text.slice(0, 40))}`,
        )
      }
      const room = limit + MOST_TOLD - ids.length
      if (room > 0) for (const id of tokenizer.tokenize(text, room)) append(id, weight)
    }
    const end = start + Math.max(1, Math.ceil((ids.length - start) / size)) * size
    while (i < parts.length - 1 && ids.length < end && ids.length < limit) append(padId, 1)
  }
  if (ids.length <= limit) return { ids, weights }
  onWarning?.(truncationMessage(name, limit, tokenizer.decode(ids.slice(limit))))
  return { ids: ids.slice(0, limit), weights: weights.slice(0, limit) }
}

function padTo({ ids, weights }: WeightedTokens, length: number, padId: number): WeightedTokens {
  const count = Math.max(0, length - ids.length)
  return {
    ids: [...ids, ...new Array<number>(count).fill(padId)],
    weights: [...weights, ...new Array<number>(count).fill(1)],
  }
}

/** At least one, which may be empty. */
function chunksOf({ ids, weights }: WeightedTokens, size: number): WeightedTokens[] {
  return Array.from({ length: Math.max(1, Math.ceil(ids.length / size)) }, (_, i) => ({
    ids: ids.slice(i * size, (i + 1) * size),
    weights: weights.slice(i * size, (i + 1) * size),
  }))
}

function wrap({ bosTokenId, eosTokenId }: ClipTokenizer, ids: readonly number[]): number[] {
  return [bosTokenId, ...ids, eosTokenId]
}

const { fround } = Math

/** Each token's embedding times its weight, all times what keeps the mean; embeds [1, L, C]. */
function weighKeepingMean(embeds: FloatTensor, weights: readonly number[]): FloatTensor {
  if (weights.every((weight) => weight === 1)) return embeds
  const weighted = perToken(embeds, (value, token) => value * fround(defined(weights[token])))
  const ratio = fround(fround(mean(embeds)) / fround(mean(weighted)))
  return map((value) => value * ratio, weighted)
}

/** Each token's embedding moved along the line from the last token's by its weight; embeds [1, L, C]. */
function moveFromLast(embeds: FloatTensor, weights: readonly number[]): FloatTensor {
  const [, length = 0, channels = 0] = embeds.shape
  const last = embeds.data.subarray((length - 1) * channels)
  return perToken(embeds, (value, token, channel) => {
    const weight = defined(weights[token])
    const end = defined(last[channel])
    return weight === 1 ? value : end + fround(fround(value - end) * fround(weight))
  })
}

function perToken(embeds: FloatTensor, f: (value: number, token: number, channel: number) => number): FloatTensor {
  const channels = defined(embeds.shape[2])
  return float32(
    embeds.shape,
    embeds.data.map((value, i) => f(value, Math.floor(i / channels), i % channels)),
  )
}

function mean({ data }: FloatTensor): number {
  return data.reduce((sum, value) => sum + value, 0) / data.length
}
