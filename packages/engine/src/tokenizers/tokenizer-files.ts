import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { TokenizerError } from './tokenizer-error.ts'

/**
 * A token that is cut out of the text before byte-pair encoding, in the spelling of tokenizer.json. Its `lstrip` and
 * `rstrip` are left out: the spaces that they swallow give no tokens anyway.
 */
export interface AddedToken {
  readonly content: string
  /** Whether it is looked for after lower-casing rather than in the text as it came. */
  readonly normalized: boolean
}

/** The special tokens that CLIP gives a role. */
export type SpecialTokenRole = 'bos_token' | 'eos_token' | 'unk_token' | 'pad_token'

/** What a checkpoint's tokenizer folder says. */
export interface TokenizerFiles {
  readonly vocab: Readonly<Record<string, number>>
  /** In order of rank. */
  readonly merges: readonly (readonly [string, string])[]
  readonly roles: Readonly<Record<SpecialTokenRole, string>>
  readonly addedTokens: readonly AddedToken[]
}

type Json = Readonly<Record<string, unknown>>

/** The order in which transformers adds the tokens, and CLIPTokenizer's defaults. */
const DEFAULT_ROLES: Readonly<Record<SpecialTokenRole, string>> = {
  bos_token: '<|startoftext|>',
  eos_token: '<|endoftext|>',
  unk_token: '<|endoftext|>',
  pad_token: '<|endoftext|>',
}

/**
 * Reads vocab.json and merges.txt, or tokenizer.json where they are missing, with tokenizer_config.json and
 * special_tokens_map.json where they exist, by the rules of transformers' `CLIPTokenizer.from_pretrained`.
 *
 * @throws TokenizerError that names the folder or the file where the vocabulary is missing or unreadable
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const [vocab, merges, tokenizer, config, specialTokensMap] = await Promise.all([
    readJson(join(folder, 'vocab.json')),
    readText(join(folder, 'merges.txt')),
    readJson(join(folder, 'tokenizer.json')),
    readJson(join(folder, 'tokenizer_config.json')),
    readJson(join(folder, 'special_tokens_map.json')),
  ])
  if (vocab !== undefined && merges !== undefined) {
    return {
      vocab: vocab as Record<string, number>,
      merges: parseMerges(merges, folder),
      ...specialTokens(config ?? {}, specialTokensMap ?? {}, []),
    }
  }
  if (tokenizer === undefined) {
    throw fileError(folder, 'expected vocab.json and merges.txt, or tokenizer.json; found neither')
  }
  const model = asObject(tokenizer.model)
  if (typeof model.vocab !== 'object' || !Array.isArray(model.merges)) {
    throw fileError(join(folder, 'tokenizer.json'), "expected a BPE model with a vocabulary and merges, as CLIP's")
  }
  return {
    vocab: model.vocab as Record<string, number>,
    merges: model.merges.map((merge) => asPair(merge, join(folder, 'tokenizer.json'))),
    ...specialTokens(config ?? {}, specialTokensMap ?? {}, asArray(tokenizer.added_tokens)),
  }
}

/** The message names the file and its folder, not where on this machine they lie: clients read it. */
function fileError(path: string, problem: string, cause?: unknown): TokenizerError {
  return new TokenizerError(`${join(basename(dirname(path)), basename(path))}: ${problem}`, { path, cause })
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function readJson(path: string): Promise<Json | undefined> {
  const text = await readText(path)
  if (text === undefined) return undefined
  try {
    return asObject(JSON.parse(text))
  } catch (cause) {
    throw fileError(path, 'not valid JSON', cause)
  }
}

function parseMerges(text: string, folder: string): [string, string][] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''))
  return lines
    .filter((line) => line !== '' && !line.startsWith('#version'))
    .map((line) => asPair(line, join(folder, 'merges.txt')))
}

function asPair(merge: unknown, path: string): [string, string] {
  const [left, right, ...rest] = typeof merge === 'string' ? merge.split(' ') : asArray(merge)
  if (typeof left !== 'string' || typeof right !== 'string' || rest.length > 0) {
    throw fileError(path, `expected merges of two tokens, found ${JSON.stringify(merge)}`)
  }
  return [left, right]
}

/**
 * Which tokens are special. Where tokenizer_config.json has `added_tokens_decoder` it decides alone; otherwise
 * special_tokens_map.json overrides the named tokens, and the last definition of a token counts: a plain string (as pad
 * tokens often are) makes it be looked for in the text as it came, whatever an earlier object said.
 */
function specialTokens(config: Json, specialTokensMap: Json, fileTokens: readonly unknown[]) {
  const decoder = config.added_tokens_decoder
  const declared = (decoder === undefined ? fileTokens : Object.values(asObject(decoder))).map(asAddedToken)
  const named = decoder === undefined ? { ...config, ...specialTokensMap } : config
  const added = new Map(declared.map((token) => [token.content, token]))
  const roles: Record<SpecialTokenRole, string> = { ...DEFAULT_ROLES }
  for (const role of Object.keys(DEFAULT_ROLES) as SpecialTokenRole[]) {
    const token = asAddedToken(named[role] ?? DEFAULT_ROLES[role])
    roles[role] = token.content
    if (!declared.some(({ content }) => content === token.content)) added.set(token.content, token)
  }
  return { roles, addedTokens: [...added.values()] }
}

function asAddedToken(token: unknown): AddedToken {
  if (typeof token === 'string') return { content: token, normalized: false }
  const { content, normalized } = asObject(token)
  if (typeof content !== 'string') throw new TokenizerError(`a token needs a content, found ${JSON.stringify(token)}`)
  return { content, normalized: normalized === true }
}

function asObject(value: unknown): Json {
  if (typeof value !== 'object' || value === null) throw new TokenizerError(`expected a JSON object, found ${value}`)
  return value as Json
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
