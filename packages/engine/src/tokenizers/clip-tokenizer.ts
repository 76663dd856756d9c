import type { Tokenizer } from '@huggingface/tokenizers'
import { byteLevelBytes, createBytePairEncoder } from './byte-pair-encoder.ts'
import { TokenizerError } from './tokenizer-error.ts'
import { type AddedToken, readTokenizerFiles, type SpecialTokenRole, type TokenizerFiles } from './tokenizer-files.ts'

/** The length of CLIP's text: start token, 75 tokens, end token. */
const CLIP_MAX_LENGTH = 77

/** Characters that are tokenised at once. */
const PIECE_LENGTH = 1024

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

interface LearnedVocabulary {
  readonly encoder: Tokenizer
  /** By word, normalised. */
  readonly learnedIds: ReadonlyMap<string, readonly number[]>
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
  /** Ids of learned words, which are found after normalising; a vocabulary of CLIP's size takes a third of a second to set up, and is shared. */
  readonly #learnedIds: ReadonlyMap<string, readonly number[]>
  readonly #learnedWords: RegExp
  /** UTF-8 of each token, a blank after those that end a word; made at the first decoding. */
  #tokensById: ReadonlyMap<number, readonly number[]> | undefined

  /**
   * @param extended what another tokenizer of the same files has and this one adds to
   * @throws TokenizerError where a special token has no id
   */
  constructor(files: TokenizerFiles, extended?: LearnedVocabulary) {
    this.#files = files
    this.#learnedIds = extended?.learnedIds ?? new Map()
    this.#learnedWords = anyOf([...this.#learnedIds.keys()])
    this.#addedTokens = numberTokens(files)
    const verbatim = [...this.#addedTokens].filter(([token]) => !token.normalized)
    this.#verbatimIds = new Map(verbatim.map(([token, id]) => [token.content, id]))
    this.#verbatimTokens = anyOf([...this.#verbatimIds.keys()])
    this.#encoder = extended?.encoder ?? createBytePairEncoder(files, this.#addedTokens)
    this.bosTokenId = this.#roleId('bos_token')
    this.eosTokenId = this.#roleId('eos_token')
    this.padTokenId = this.#roleId('pad_token')
  }

  /** The number of ids, added tokens included. */
  get vocabSize(): number {
    const learned = [...this.#learnedIds.values()].flat()
    return Math.max(...this.#addedTokens.values(), ...learned, Object.keys(this.#files.vocab).length - 1) + 1
  }

  /**
   * The ids of `text` between the start and the end token, cut and padded to `maxLength`, as diffusers' pipelines ask
   * for them (`padding='max_length', truncation=True`).
   */
  encode(text: string, { maxLength = CLIP_MAX_LENGTH }: EncodeOptions = {}): number[] {
    const ids = [this.bosTokenId, ...this.tokenize(text, maxLength - 2), this.eosTokenId]
    return ids.concat(new Array(maxLength - ids.length).fill(this.padTokenId))
  }

  /**
   * The ids of `text` without start and end token.
   * @param most where to stop: text beyond costs nothing. Default: all of it, however long
   */
  tokenize(text: string, most = Number.POSITIVE_INFINITY): number[] {
    const ids: number[] = []
    for (const piece of this.#pieces(text)) {
      for (const part of piece.split(this.#verbatimTokens)) {
        if (part === '') continue
        const id = this.#verbatimIds.get(part)
        for (const each of id === undefined ? this.#encode(part) : [id]) ids.push(each)
      }
      if (ids.length >= most) return ids.slice(0, most)
    }
    return ids
  }

  /** The text in pieces whose ids, one after another, are those of the whole: no token goes beyond a blank, unless it has one itself. */
  *#pieces(text: string): Generator<string> {
    const words = [...this.#verbatimIds.keys(), ...this.#learnedIds.keys()]
    const mayCut = !words.some((word) => /\s/.test(word))
    for (let start = 0; start < text.length; ) {
      const end = mayCut ? text.indexOf(' ', start + PIECE_LENGTH) : -1
      yield text.slice(start, end === -1 ? undefined : end)
      start = end === -1 ? text.length : end
    }
  }

  #encode(text: string): readonly number[] {
    if (this.#learnedIds.size === 0) return this.#encoder.encode(text).ids
    return normalize(this.#encoder, text)
      .split(this.#learnedWords)
      .flatMap((part) => (part === '' ? [] : (this.#learnedIds.get(part) ?? this.#encoder.encode(part).ids)))
  }

  /**
   * What token ids stand for, words parted by blanks, as transformers' `batch_decode` without clean-up: lower-cased, because that is
   * what was encoded. Ids of no token are left out.
   */
  decode(ids: readonly number[]): string {
    this.#tokensById ??= tokensById(this.#files, this.#addedTokens, this.#learnedIds)
    const bytes = ids.flatMap((id) => this.#tokensById?.get(id) ?? [])
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim()
  }

  /** The id of one token of the vocabulary, such as `cat</w>` or an added token. */
  tokenId(token: string): number | undefined {
    const learned = this.#learnedIds.get(normalize(this.#encoder, token))
    return learned?.[0] ?? this.#verbatimIds.get(token) ?? this.#encoder.token_to_id(token)
  }

  /**
   * A tokenizer that also knows words for learned vectors (textual inversion), numbered after all other tokens in their order. They are
   * found in a prompt whatever its case, also inside words. The first id of a word stands for all of its vectors; diffusers names
   * them `word`, `word_1`, … and replaces the word in the text. This tokenizer stays as it is.
   *
   * @throws TokenizerError for a word that is empty or exists already
   */
  withPlaceholders(placeholders: readonly Placeholder[]): ClipTokenizer {
    const learnedIds = new Map(this.#learnedIds)
    let next = this.vocabSize
    for (const { token, vectors } of placeholders) {
      const word = normalize(this.#encoder, token)
      if (word.trim() === '') throw new TokenizerError('an embedding needs a token that is not empty')
      if (learnedIds.has(word) || this.tokenId(token) !== undefined) {
        throw new TokenizerError(
          `the token ${JSON.stringify(token)} is already in the vocabulary; give the embedding another token`,
        )
      }
      const first = next
      next += vectors
      learnedIds.set(
        word,
        Array.from({ length: vectors }, (_, i) => first + i),
      )
      for (let i = 1; i < vectors; i++) learnedIds.set(`${word}_${i}`, [first + i])
    }
    return new ClipTokenizer(this.#files, { encoder: this.#encoder, learnedIds })
  }

  #roleId(role: SpecialTokenRole): number {
    const id = this.tokenId(this.#files.roles[role])
    if (id === undefined)
      throw new TokenizerError(`the tokenizer's ${role} ${this.#files.roles[role]} is not in its vocabulary`)
    return id
  }
}

/** The text that byte-pair encoding sees. */
function normalize({ normalizer }: Tokenizer, text: string): string {
  return normalizer ? normalizer.normalize(text) : text
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
 * @param padToken instead of the folder's: the models of a family share their vocabulary, but not what they are padded with
 * @throws TokenizerError that names the file or token that is missing or unreadable
 */
export async function loadClipTokenizer(folder: string, padToken?: string): Promise<ClipTokenizer> {
  const files = await readTokenizerFiles(folder)
  if (padToken === undefined) return new ClipTokenizer(files)
  const others = files.addedTokens.filter(({ content }) => content !== padToken)
  return new ClipTokenizer({
    ...files,
    roles: { ...files.roles, pad_token: padToken },
    addedTokens: [...others, { content: padToken, normalized: false }],
  })
}

const WORD_END = '</w>'

function tokensById(
  { vocab }: TokenizerFiles,
  addedTokens: ReadonlyMap<AddedToken, number>,
  learnedIds: ReadonlyMap<string, readonly number[]>,
): Map<number, readonly number[]> {
  const tokens = new Map<number, readonly number[]>()
  for (const [token, id] of Object.entries(vocab)) {
    const ends = token.endsWith(WORD_END)
    const bytes = byteLevelBytes(ends ? token.slice(0, -WORD_END.length) : token)
    tokens.set(id, ends ? [...bytes, 0x20] : bytes)
  }
  const named = [...addedTokens].map(([{ content }, id]): [string, number] => [content, id])
  for (const [word, ids] of learnedIds) named.push([word, ids[0] as number])
  for (const [word, id] of named) tokens.set(id, [...Buffer.from(`${word} `)])
  return tokens
}

/** An added token has its id in the vocabulary, or else the next free one. */
function numberTokens({ vocab, addedTokens }: TokenizerFiles): Map<AddedToken, number> {
  const ids = new Map<AddedToken, number>()
  let next = Object.keys(vocab).length
  for (const token of addedTokens) ids.set(token, vocab[token.content] ?? next++)
  return ids
}
