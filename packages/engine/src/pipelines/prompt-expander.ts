import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkWeights } from '../checkpoint/check-weights.ts'
import { openComponent } from '../checkpoint/checkpoint.ts'
import { isMissing } from '../checkpoint/json-file.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { buildGpt2StepGraph, GPT2_IGNORED_KEYS, GPT2_RENAMES } from '../models/gpt2.ts'
import { type Gpt2Config, parseGpt2Config } from '../models/gpt2-config.ts'
import { TorchGenerator } from '../random/torch-generator.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import { expectFloat32, float32, int64 } from '../tensor/tensor.ts'
import { type Gpt2Tokenizer, loadGpt2Tokenizer } from '../tokenizers/gpt2-tokenizer.ts'
import type { Engine } from './engine.ts'

/** Adds words to prompts that make richer pictures. */
export interface PromptExpander {
  /** The same seed and prompt give the same words. */
  expand(prompt: string, seed: number | bigint): Promise<string>
}

/** Tokens of a prompt that text encoders take; expansions fill a multiple of it. */
const CHUNK = 75

/** How many of the likeliest tokens the next is drawn from. */
const TOP_K = { words: 100, free: 50 } as const

/** Fooocus' mask of what must not follow. */
const EXCLUDED = -8192
/** May always follow. */
const COMMA = ','

const COMPONENT = 'prompt_expander'

/**
 * Loads a GPT-2 that goes on with prompts: `Gustavosta/MagicPrompt-Stable-Diffusion` (MIT), or Fooocus' expansion (weights and word list
 * for non-commercial use), which is known by its word list `positive.txt` and adds only words of it, each once.
 * @param folder an ordinary transformers folder: config.json, weights, vocab.json and merges.txt or tokenizer.json
 * @throws CheckpointError, ModelConfigError, WeightFileError or TokenizerError
 */
export async function loadPromptExpander(engine: Engine, folder: string): Promise<PromptExpander> {
  const component = await openComponent(folder, COMPONENT)
  const config = parseGpt2Config(await component.config())
  const stored = await component.weights({ renames: GPT2_RENAMES })
  checkWeights(stored, [buildGpt2StepGraph(config, 1)], { ignoredKeys: GPT2_IGNORED_KEYS })
  const tokenizer = await loadGpt2Tokenizer(component.folder)
  const words = await readWords(join(component.folder, 'positive.txt'), tokenizer)
  const model = new Gpt2(config, await engine.weightCache.prepare(stored), engine.sessions)
  return { expand: (prompt, seed) => expand({ model, config, tokenizer, words }, prompt, seed) }
}

interface Parts {
  readonly model: Gpt2
  readonly config: Gpt2Config
  readonly tokenizer: Gpt2Tokenizer
  /** What may follow; undefined: all. */
  readonly words: WordList | undefined
}

/** Ids of tokens. */
interface WordList {
  /** May each follow once. */
  readonly words: ReadonlySet<number>
  readonly comma: number | undefined
}

/** Fooocus' word list: a word a line, each meant as the token of the word after a blank. */
async function readWords(path: string, { vocab }: Gpt2Tokenizer): Promise<WordList | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const lines = text.split(/\r?\n/).filter((line) => line !== '')
  return { words: new Set(lines.flatMap((line) => vocab[`Ġ${line.toLowerCase()}`] ?? [])), comma: vocab[COMMA] }
}

async function expand({ model, config, tokenizer, words }: Parts, prompt: string, seed: number | bigint) {
  const cleaned = clean(prompt)
  if (cleaned === '') return ''
  const ids = tokenizer.encode(`${cleaned},`)
  const length = Math.min(CHUNK * Math.ceil(ids.length / CHUNK), config.maxPositions)
  if (ids.length >= length) return cleaned
  const generator = new TorchGenerator(seed)
  const sequence = await model.start(length)
  let logits = await sequence.take(ids)
  for (; ids.length < length; logits = await sequence.take(ids.slice(-1))) {
    const allowed = words ? maskedLogits(logits, words, ids) : logits
    const next = drawToken(allowed, words ? TOP_K.words : TOP_K.free, generator)
    if (next === config.eosTokenId) break
    ids.push(next)
    if (ids.length === length) break
  }
  return clean(tokenizer.decode(ids))
}

/** Only words of the list, each once, and commas. */
function maskedLogits(logits: Float32Array, { words, comma }: WordList, present: readonly number[]): Float32Array {
  const used = new Set(present)
  return logits.map((value, id) => (id === comma || (words.has(id) && !used.has(id)) ? value : value + EXCLUDED))
}

/** Draws among the `topK` likeliest tokens by their probabilities. */
export function drawToken(logits: Float32Array, topK: number, generator: TorchGenerator): number {
  const likeliest = [...logits.keys()].sort((a, b) => defined(logits[b]) - defined(logits[a]) || a - b).slice(0, topK)
  const best = defined(logits[defined(likeliest[0])])
  const weights = likeliest.map((id) => Math.exp(defined(logits[id]) - best))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let rest = defined(generator.rand([1]).data[0]) * total
  for (const [i, weight] of weights.entries()) {
    rest -= weight
    if (rest < 0) return defined(likeliest[i])
  }
  return defined(likeliest[0])
}

/** One blank between words, no blanks, commas or full stops at the ends. */
function clean(text: string): string {
  return text.replace(/ {2,}/g, ' ').replace(/^[,. \r\n]+|(?<![,. \r\n])[,. \r\n]+$/g, '')
}

/** A GPT-2 that keeps the keys and values of what it has read. */
export class Gpt2 {
  readonly #config: Gpt2Config
  readonly #weights: Weights
  readonly #sessions: SessionCache

  constructor(config: Gpt2Config, weights: Weights, sessions: SessionCache) {
    this.#config = config
    this.#weights = weights
    this.#sessions = sessions
  }

  /** A sequence of up to `length` tokens. */
  async start(length: number): Promise<Gpt2Sequence> {
    const { layers, hiddenSize } = this.#config
    const session = await this.#sessions.get(this.#weights, String(length), () =>
      buildGpt2StepGraph(this.#config, length),
    )
    const kept = ['keys', 'values'].flatMap((name) => Array.from({ length: layers }, (_, i) => `${name}.${i}`))
    const past = new Map(kept.map((name) => [name, float32([1, length, hiddenSize])]))
    const mask = float32([1, 1, 1, length + 1], new Float32Array(length + 1).fill(MASKED))
    mask.data[length] = 0
    let position = 0
    const step = async (id: number): Promise<Float32Array> => {
      const results = await session.run({
        input_ids: int64([1, 1], [id]),
        positions: int64([1, 1], [position]),
        mask,
        ...Object.fromEntries([...past].map(([name, tensor]) => [`past_${name}`, tensor])),
      })
      for (const [name, tensor] of past) tensor.data.set(expectFloat32(results[name]).data, position * hiddenSize)
      mask.data[position++] = 0
      return expectFloat32(results.logits).data
    }
    return {
      async take(ids) {
        let logits = new Float32Array(0)
        for (const id of ids) logits = new Float32Array(await step(id))
        return logits
      },
    }
  }
}

/** Scores of places that hold nothing yet. */
const MASKED = -3.4028234663852886e38

interface Gpt2Sequence {
  /** Reads on. @returns the scores of what may follow the last of `ids`, [vocabSize] */
  take(ids: readonly number[]): Promise<Float32Array>
}
