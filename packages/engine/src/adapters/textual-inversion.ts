import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { readStoredTensor } from '../checkpoint/component-weights.ts'
import { displayName } from '../formats/display-name.ts'
import type { PickleValue } from '../formats/pickle-values.ts'
import { readSafetensors } from '../formats/safetensors.ts'
import type { TensorEntry, WeightFile } from '../formats/stored-tensor.ts'
import { BARE_TENSOR, namedTensors, readTorchFile } from '../formats/torch-file.ts'
import { startsAsTorchFile } from '../formats/weight-file.ts'
import { allFinite, dimensions, elementCount, type FloatTensor, float32, rows } from '../tensor/tensor.ts'

export type TextEncoderName = 'text_encoder' | 'text_encoder_2'

/** Vectors of an embedding file for one text encoder. */
export interface EmbeddingMatrix {
  /** Whose they are, where the file says so; otherwise their width tells. */
  readonly component: TextEncoderName | undefined
  /** [n, hidden size] */
  readonly vectors: FloatTensor
}

/** What a file of textual inversion holds. */
export interface TextualInversion {
  /** What messages call the file. */
  readonly source: string
  /** The token that the file was trained for, where it names one. */
  readonly token: string | undefined
  readonly matrices: readonly EmbeddingMatrix[]
}

/** Keys of files that hold one matrix for each of SDXL's encoders (the web UI's, and those of pivotal tuning). */
const ENCODER_KEYS: Readonly<Record<string, TextEncoderName>> = {
  clip_l: 'text_encoder',
  clip_g: 'text_encoder_2',
  text_encoders_0: 'text_encoder',
  text_encoders_1: 'text_encoder_2',
}

/** A prompt has room for 75 tokens; this many allow for several words in one file. */
const MAX_VECTORS = 1024
const MAX_WIDTH = 16_384

/**
 * Reads a file of textual inversion, safetensors or torch.save, in any of its forms (diffusers
 * src/diffusers/loaders/textual_inversion.py; the web UI's textual_inversion.py):
 *
 * - `{<token>: tensor}`, diffusers'
 * - `{string_to_param: {'*': tensor}, name, …}`, the web UI's older ones
 * - `{emb_params: tensor}`, the web UI's
 * - `{clip_l: tensor, clip_g: tensor}`, the web UI's for SDXL
 * - `{text_encoders_0: tensor, text_encoders_1: tensor}`, pivotal tuning's
 * - a bare tensor
 *
 * A tensor is [hidden size] or [n, hidden size].
 * @throws CheckpointError when it is none of these; WeightFileError when it is damaged
 */
export async function readEmbedding(path: string): Promise<TextualInversion> {
  const source = displayName(path)
  const { token, file, tensors } = await readEntries(path)
  const matrices: EmbeddingMatrix[] = []
  for (const [key, component] of Object.entries(ENCODER_KEYS)) {
    const entry = tensors.get(key)
    if (entry) matrices.push({ component, vectors: await readVectors(file, source, key, entry) })
  }
  if (matrices.length > 0) return { source, token, matrices }
  const [only, ...others] = tensors
  if (!only || others.length > 0) {
    const keys = [...tensors.keys()].slice(0, 3).join(', ')
    throw new CheckpointError(
      `${source} holds no embedding: expected one tensor, or one for each text encoder (clip_l and clip_g, text_encoders_0 and text_encoders_1); found ${tensors.size} (${keys})`,
    )
  }
  const [key, entry] = only
  const vectors = await readVectors(file, source, key, entry)
  return { source, token: token ?? tokenOfKey(key), matrices: [{ component: undefined, vectors }] }
}

interface EmbeddingEntries {
  readonly token: string | undefined
  readonly file: WeightFile
  readonly tensors: ReadonlyMap<string, TensorEntry>
}

const WEB_UI_PREFIX = 'string_to_param.'
const KEYS_OF_NO_TOKEN: ReadonlySet<string> = new Set(['emb_params', BARE_TENSOR])

async function readEntries(path: string): Promise<EmbeddingEntries> {
  if (!(await startsAsTorchFile(path))) {
    const file = await readSafetensors(path)
    return { token: undefined, file, tensors: file.tensors }
  }
  const saved = await readTorchFile(path)
  const file = namedTensors(saved)
  const parameters = [...file.tensors].filter(([key]) => key.startsWith(WEB_UI_PREFIX))
  return parameters.length > 0
    ? { token: webUiName(saved.value), file, tensors: new Map(parameters) }
    : { token: undefined, file, tensors: file.tensors }
}

/** The web UI's name of an embedding. */
function webUiName(value: PickleValue): string | undefined {
  const name = value instanceof Map ? value.get('name') : undefined
  return typeof name === 'string' && name !== '' ? name : undefined
}

/** diffusers' key is the token. */
function tokenOfKey(key: string): string | undefined {
  return key.startsWith(WEB_UI_PREFIX) || KEYS_OF_NO_TOKEN.has(key) ? undefined : key
}

async function readVectors(file: WeightFile, source: string, key: string, entry: TensorEntry): Promise<FloatTensor> {
  const what = key === BARE_TENSOR ? source : `${source}: ${key}`
  const { shape } = entry
  const width = shape.at(-1) ?? 0
  const count = width === 0 ? 0 : elementCount(shape) / width
  if (shape.length > 2 || count < 1 || count > MAX_VECTORS || width > MAX_WIDTH) {
    throw new CheckpointError(`${what} must be one vector, or up to ${MAX_VECTORS} of them; it is [${shape}]`)
  }
  const tensor = await readStoredTensor({ ...entry, file, storedKey: key })
  if (!allFinite(tensor)) {
    throw new CheckpointError(`${what} has values that are no finite numbers; the file is damaged`)
  }
  return float32([count, width], tensor.data)
}

/** A word and the vectors that it stands for in one text encoder. */
export interface TokenVectors {
  readonly token: string
  /** [n, hidden size], one after another. */
  readonly vectors: FloatTensor
}

/**
 * What an embedding adds to a text encoder's vocabulary: one token stands for all vectors, several tokens for one vector each, in order;
 * tokens beyond the vectors stand for nothing. Empty when the file has nothing for this encoder.
 * @param width hidden size of the encoder
 * @throws CheckpointError when the vectors are for another encoder, or cannot be told to the tokens
 */
export function tokenVectors(
  { source, matrices }: TextualInversion,
  tokens: readonly string[],
  component: TextEncoderName,
  width: number,
): TokenVectors[] {
  const named = matrices.find((matrix) => matrix.component === component)
  const found = named ?? matrices.find(({ component: own, vectors }) => own === undefined && vectors.shape[1] === width)
  if (!found) return []
  const [count, ownWidth] = dimensions(found.vectors.shape, 2)
  if (ownWidth !== width) {
    throw new CheckpointError(
      `${source} has vectors of ${ownWidth} numbers for ${component}, which takes ${width}; the embedding is for another base model`,
    )
  }
  const [first] = tokens
  if (first === undefined) throw new CheckpointError(`${source} needs a token`)
  if (tokens.length === 1) return [{ token: first, vectors: found.vectors }]
  if (tokens.length < count) {
    throw new CheckpointError(
      `${source} has ${count} vectors and was given ${tokens.length} tokens; give it one token for all, or ${count}`,
    )
  }
  return tokens.slice(0, count).map((token, i) => ({ token, vectors: rows(found.vectors, i, i + 1) }))
}
