import { readEmbedding, type TextEncoderName, type TokenVectors, tokenVectors } from '../adapters/textual-inversion.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { StableDiffusion } from './stable-diffusion.ts'
import { type TextEncoder, TextEncoders } from './text-encoders.ts'

/** A file of textual inversion and the words that prompts call it by. */
export interface EmbeddingFile {
  readonly path: string
  /** One word for all vectors, or one for each; without any the word that the file names. */
  readonly tokens?: readonly string[]
}

/**
 * A model whose prompts may use learned words. The weights are those of the model given, which stays as it is.
 * @param onWarning told of an encoder for which a file has nothing
 * @throws CheckpointError for a file that holds no embedding or one for another base; WeightFileError when it is damaged; TokenizerError
 *   for a word that exists already
 */
export async function applyEmbeddings(
  model: StableDiffusion,
  files: readonly EmbeddingFile[],
  onWarning?: (message: string) => void,
): Promise<StableDiffusion> {
  if (files.length === 0) return model
  const { first, second } = model.textEncoders
  const encoders: readonly (readonly [TextEncoderName, TextEncoder])[] = [
    ['text_encoder', first],
    ...(second ? [['text_encoder_2', second] as const] : []),
  ]
  const words = new Map<TextEncoder, TokenVectors[]>()
  for (const { path, tokens } of files) {
    const embedding = await readEmbedding(path)
    const names = tokens ?? (embedding.token === undefined ? [] : [embedding.token])
    const added = encoders.map(([name, encoder]) => ({
      name,
      encoder,
      own: tokenVectors(embedding, names, name, encoder.config.hiddenSize),
    }))
    for (const { encoder, own } of added) words.set(encoder, [...(words.get(encoder) ?? []), ...own])
    const without = added.filter(({ own }) => own.length === 0).map(({ name }) => name)
    if (without.length === added.length) {
      const [has] = embedding.matrices.map(({ vectors }) => vectors.shape[1])
      const takes = encoders.map(([, { config }]) => config.hiddenSize).join(' or ')
      throw new CheckpointError(
        `${embedding.source} has vectors of ${has} numbers and the model takes ${takes}; the embedding is for another base model`,
      )
    }
    if (without.length > 0)
      onWarning?.(`${embedding.source} has nothing for ${without.join(' and ')}, which reads its words as text`)
  }
  const extended = (encoder: TextEncoder): TextEncoder => {
    const own = words.get(encoder) ?? []
    return own.length > 0 ? encoder.withTokens(own) : encoder
  }
  return { ...model, textEncoders: new TextEncoders(extended(first), second && extended(second)) }
}
