import type { Tokenizer } from '@huggingface/tokenizers'
import { byteLevelBytes, createBytePairEncoder } from './byte-pair-encoder.ts'
import { TokenizerError } from './tokenizer-error.ts'
import { type AddedToken, readTokenizerFiles, type SpecialTokenRole, type TokenizerFiles } from './tokenizer-files.ts'

/** The length of CLIP's text: start token, 75 tokens, end token. */
export const CLIP_MAX_LENGTH = 77

export interface EncodeOptions {
  /** The number of ids, start and end tokens included. Default 77. */
  readonly maxLength?: number
}

/** A word of prompts that stands for learned vectors (textual inversion). */
export interface Placeholder {
  /** Found in a prompt whatever its case, also inside words. */
  readonly token: string
  /** More than one stand for the word one after another. */
  readonly vectors: number
}

/** Turns prompts into token ids like transformers' `CLIPTokenizer`. */
export class ClipTokenizer {
  readonly bosTokenId: number
  readonly eosTokenId: number
  readonly padTokenId: number
  readonly #files: TokenizerFiles
  readonly #addedTokens: ReadonlyMap<AddedToken, number>
  /** Ids of the tokens that are found in the text as it came, before anything is normalised. */
  readonly #verbatimIds: ReadonlyMap<string, number>
  readonly #verbatimTokens: RegExp
  readonly #encoder: Tokenizer
  /** What a token stands for, where that is more than itself. */
  readonly #expansions: ReadonlyMap<number, readonly number[]>
  /** UTF-8 of each token, a blank after those that end a word; made at the first decoding. */
  #tokensById: ReadonlyMap<number, readonly number[]> | undefined

  /** @throws TokenizerError where a special token has no id */
  constructor(files: TokenizerFiles, expansions: ReadonlyMap<number, readonly number[]> = new Map()) {
    this.#files = files
    this.#expansions = expansions
    this.#addedTokens = numberTokens(files)
    const verbatim = [...this.#addedTokens].filter(([token]) => !token.normalized)
    this.#verbatimIds = new Map(verbatim.map(([token, id]) => [token.content, id]))
    this.#verbatimTokens = anyOf([...this.#verbatimIds.keys()])
    this.#encoder = createBytePairEncoder(files, this.#addedTokens)
    this.bosTokenId = this.#roleId('bos_token')
    this.eosTokenId = this.#roleId('eos_token')
    this.padTokenId = this.#roleId('pad_token')
  }

  /** The number of ids, added tokens included. */
  get vocabSize(): number {
    return Math.max(...this.#addedTokens.values(), Object.keys(this.#files.vocab).length - 1) + 1
  }

  /**
   * The ids of `text` between the start and the end token, cut and padded to `maxLength`, as diffusers' pipelines ask
   * for them (`padding='max_length', truncation=True`).
   */
  encode(text: string, { maxLength = CLIP_MAX_LENGTH }: EncodeOptions = {}): number[] {
    const ids = [this.bosTokenId, ...this.tokenize(text).slice(0, maxLength - 2), this.eosTokenId]
    return ids.concat(new Array(maxLength - ids.length).fill(this.padTokenId))
  }

  /** The ids of the whole `text`, without start and end token, however long. */
  tokenize(text: string): number[] {
    const ids = text.split(this.#verbatimTokens).flatMap((part) => {
      if (part === '') return []
      const id = this.#verbatimIds.get(part)
      return id === undefined ? this.#encoder.encode(part).ids : [id]
    })
    return this.#expansions.size === 0 ? ids : ids.flatMap((id) => this.#expansions.get(id) ?? id)
  }

  /**
   * What token ids stand for, words parted by blanks, as transformers' `batch_decode` without clean-up: lower-cased, because that is
   * what was encoded. Ids of no token are left out.
   */
  decode(ids: readonly number[]): string {
    this.#tokensById ??= tokensById(this.#files, this.#addedTokens)
    const bytes = ids.flatMap((id) => this.#tokensById?.get(id) ?? [])
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim()
  }

  /** The id of one token of the vocabulary, such as `cat</w>` or an added token. */
  tokenId(token: string): number | undefined {
    return this.#verbatimIds.get(token) ?? this.#encoder.token_to_id(token)
  }

  /**
   * A tokenizer that also knows `tokens`, numbered after all others in their order: textual inversion's placeholders.
   * They are found in a prompt whatever its case, also inside words. This tokenizer stays as it is.
   *
   * @throws TokenizerError for a token that exists already
   */
  withTokens(tokens: readonly string[]): ClipTokenizer {
    const known = tokens.find((token) => this.tokenId(token) !== undefined)
    if (known !== undefined) {
      throw new TokenizerError(
        `the token ${JSON.stringify(known)} is already in the vocabulary; give the embedding another token`,
      )
    }
    const added = tokens.map((content) => ({ content, normalized: true }))
    const files = { ...this.#files, addedTokens: [...this.#files.addedTokens, ...added] }
    return new ClipTokenizer(files, this.#expansions)
  }

  /**
   * A tokenizer that also knows words for learned vectors, whose ids follow all others in order: `token`, `token_1`, `token_2`, … of each, as
   * diffusers names them; the first stands for all of its word. diffusers replaces words in the text instead, which goes wrong for
   * a prompt that names a single vector beside its word.
   *
   * @throws TokenizerError for a word that is empty or exists already
   */
  withPlaceholders(placeholders: readonly Placeholder[]): ClipTokenizer {
    const expansions = new Map(this.#expansions)
    const tokens: string[] = []
    for (const { token, vectors } of placeholders) {
      const word = token.normalize('NFC').toLowerCase()
      if (word.trim() === '') throw new TokenizerError('an embedding needs a token that is not empty')
      const first = this.vocabSize + tokens.length
      const ids = Array.from({ length: vectors }, (_, i) => first + i)
      if (vectors > 1) expansions.set(first, ids)
      tokens.push(...ids.map((_, i) => (i === 0 ? word : `${word}_${i}`)))
    }
    const twice = tokens.find((token, i) => tokens.indexOf(token) < i)
    if (twice !== undefined) throw new TokenizerError(`two embeddings have the token ${JSON.stringify(twice)}`)
    return new ClipTokenizer(this.withTokens(tokens).#files, expansions)
  }

  #roleId(role: SpecialTokenRole): number {
    const id = this.tokenId(this.#files.roles[role])
    if (id === undefined)
      throw new TokenizerError(`the tokenizer's ${role} ${this.#files.roles[role]} is not in its vocabulary`)
    return id
  }
}

/** Matches, and on splitting keeps, the longest of `tokens` that begins at a place. */
function anyOf(tokens: readonly string[]): RegExp {
  const longestFirst = [...tokens].sort((a, b) => b.length - a.length)
  const alternatives = longestFirst.map((token) => token.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(alternatives.length === 0 ? '(?!)' : `(${alternatives.join('|')})`)
}

/**
 * The tokenizer of a `tokenizer` folder in diffusers' layout.
 *
 * @throws TokenizerError that names the file or token that is missing or unreadable
 */
export async function loadClipTokenizer(folder: string): Promise<ClipTokenizer> {
  return new ClipTokenizer(await readTokenizerFiles(folder))
}

const WORD_END = '</w>'

function tokensById(
  { vocab }: TokenizerFiles,
  addedTokens: ReadonlyMap<AddedToken, number>,
): Map<number, readonly number[]> {
  const tokens = new Map<number, readonly number[]>()
  for (const [token, id] of Object.entries(vocab)) {
    const ends = token.endsWith(WORD_END)
    const bytes = byteLevelBytes(ends ? token.slice(0, -WORD_END.length) : token)
    tokens.set(id, ends ? [...bytes, 0x20] : bytes)
  }
  for (const [{ content }, id] of addedTokens) tokens.set(id, [...Buffer.from(`${content} `)])
  return tokens
}

/** An added token has its id in the vocabulary, or else the next free one. */
function numberTokens({ vocab, addedTokens }: TokenizerFiles): Map<AddedToken, number> {
  const ids = new Map<AddedToken, number>()
  let next = Object.keys(vocab).length
  for (const token of addedTokens) ids.set(token, vocab[token.content] ?? next++)
  return ids
}
