import { Tokenizer } from '@huggingface/tokenizers'
import type { AddedToken, TokenizerFiles } from './tokenizer-files.ts'

const NORMALIZER = {
  type: 'Sequence',
  normalizers: [
    { type: 'NFC' },
    { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
    // JavaScript lower-cases a sigma that ends a word to another letter than the Rust tokenizers do, which look at
    // characters one by one. No other lower-casing depends on the neighbours.
    { type: 'Replace', pattern: { String: 'Σ' }, content: 'σ' },
    { type: 'Lowercase' },
  ],
}

const CLIP_WORDS =
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"

/**
 * The second split, which transformers' ByteLevel step makes and which takes special tokens apart that were not cut out
 * before. It is written out because the library's own takes U+FEFF for a space, as JavaScript's `\s` does; in a `Split`
 * pattern `\s` means Unicode's White_Space.
 */
const BYTE_LEVEL_WORDS = "'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}+|[^\\s\\p{L}\\p{N}]+"

const PRE_TOKENIZER = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: CLIP_WORDS }, behavior: 'Removed', invert: true },
    { type: 'Split', pattern: { Regex: BYTE_LEVEL_WORDS }, behavior: 'Removed', invert: true },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
}

/**
 * CLIP's byte-level byte-pair encoding, set up as transformers' `CLIPTokenizer` sets up the Rust tokenizers. It adds
 * neither start and end tokens nor padding. Which characters are letters is Unicode's, in the version that Node knows:
 * characters that are newer than the Rust tokenizers' Unicode (16 in tokenizers 0.23) may be split otherwise.
 *
 * Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, section 2.4.
 *
 * @param addedTokens token to id; those that are not `normalized` have to be cut out of the text before
 */
export function createBytePairEncoder(
  { vocab, merges, roles }: Pick<TokenizerFiles, 'vocab' | 'merges' | 'roles'>,
  addedTokens: ReadonlyMap<AddedToken, number>,
): Tokenizer {
  const normalizedTokens = [...addedTokens].filter(([token]) => token.normalized)
  return new Tokenizer(
    {
      added_tokens: normalizedTokens.map(([token, id]) => ({ ...token, id, special: true })),
      normalizer: NORMALIZER,
      pre_tokenizer: PRE_TOKENIZER,
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', unk_token: roles.unk_token, end_of_word_suffix: '</w>', vocab, merges },
    },
    {},
  )
}

/** The bytes that stand for themselves in byte-level vocabularies (GPT-2's `bytes_to_unicode`); the others follow from U+0100 on. */
const isPrintable = (byte: number) =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)

const OTHER_BYTES = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !isPrintable(byte))

/** The bytes that a byte-level token is written for. */
export function byteLevelBytes(token: string): number[] {
  return Array.from(token, (character) => {
    const code = character.codePointAt(0) ?? 0
    return OTHER_BYTES[code - 0x100] ?? code
  })
}
