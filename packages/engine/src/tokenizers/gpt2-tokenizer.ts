import { Tokenizer } from '@huggingface/tokenizers'
import { byteLevelBytes } from './byte-pair-encoder.ts'
import { TokenizerError } from './tokenizer-error.ts'
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.ts'

/**
 * GPT-2's words, the blank before them included. In the library's patterns `\s` means Unicode's White_Space, as in the Rust
 * tokenizers.
 */
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** GPT-2's byte-level byte-pair encoding: nothing is normalised, blanks belong to the words after them. */
export class Gpt2Tokenizer {
  /** Ids by token, as written in the vocabulary: `Ġcat` is " cat". */
  readonly vocab: Readonly<Record<string, number>>
  readonly #encoder: Tokenizer
  readonly #tokens: ReadonlyMap<number, string>

  constructor({ vocab, merges }: Pick<TokenizerFiles, 'vocab' | 'merges'>) {
    this.vocab = vocab
    this.#tokens = new Map(Object.entries(vocab).map(([token, id]) => [id, token]))
    this.#encoder = new Tokenizer(
      {
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true },
            { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
          ],
        },
        post_processor: null,
        decoder: null,
        model: { type: 'BPE', vocab, merges },
      },
      {},
    )
  }

  encode(text: string): number[] {
    return text === '' ? [] : this.#encoder.encode(text).ids
  }

  /** @throws TokenizerError for an id that is not in the vocabulary */
  decode(ids: readonly number[]): string {
    const bytes = ids.flatMap((id) => {
      const token = this.#tokens.get(id)
      if (token === undefined) throw new TokenizerError(`there is no token ${id}`)
      return byteLevelBytes(token)
    })
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))
  }
}

/**
 * The tokenizer of a transformers folder.
 * @throws TokenizerError that names the file that is missing or unreadable
 */
export async function loadGpt2Tokenizer(folder: string): Promise<Gpt2Tokenizer> {
  return new Gpt2Tokenizer(await readTokenizerFiles(folder))
}
