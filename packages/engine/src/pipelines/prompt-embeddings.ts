import { ParameterError } from './parameter-error.ts'
import type { PromptConditioning, TextAdapters, TextEncoder, TextEncoders } from './text-encoders.ts'

/** A prompt and, where guidance is on, the one to stay away from. */
export interface PromptPair {
  readonly prompt: string
  readonly negativePrompt?: string
}

/** Both embeddings have the same number of tokens. */
export interface PromptEmbeddings {
  readonly positive: PromptConditioning
  /** Absent as `negativePrompt` is. */
  readonly negative?: PromptConditioning
}

export interface PromptEncodingOptions {
  /** Hidden layers left out at the end; 0 for none. */
  readonly clipSkip: number
  readonly adapters?: TextAdapters
  /** Told of the part of a prompt that was too long. */
  readonly onWarning?: (message: string) => void
}

/**
 * The hidden states of SD 1.x are skipped from the last one on, SDXL's from the one before it, and one must be left.
 * @throws ParameterError when clip skip leaves no layer
 */
export function requireClipSkip({ first, second }: TextEncoders, clipSkip: number): void {
  const layers = Math.min(first.config.layers, second?.config.layers ?? Number.POSITIVE_INFINITY)
  const most = second === undefined ? layers : layers - 1
  if (clipSkip <= most) return
  throw new ParameterError('clip_skip', `this model's text encoder can skip ${most} layers at most, found ${clipSkip}`)
}

/**
 * Prompt embeds of prompts as they are written, cut at the text encoder's length (diffusers' `encode_prompt`).
 * @throws RangeError when clip skip leaves no layer
 */
export async function encodePlainPrompts(
  encoders: TextEncoders,
  { prompt, negativePrompt }: PromptPair,
  { clipSkip, adapters, onWarning }: PromptEncodingOptions,
): Promise<PromptEmbeddings> {
  const encode = (text: string, name: string, skip: number) => {
    const dropped = encoders.first.droppedPart(text)
    if (dropped !== undefined) onWarning?.(truncationMessage(name, chunkSize(encoders.first), dropped))
    return encoders.encode(text, skip, adapters)
  }
  return {
    positive: await encode(prompt, 'prompt', clipSkip),
    // The negative prompt takes no part in clip skip, in diffusers as here.
    ...(negativePrompt !== undefined && { negative: await encode(negativePrompt, 'negative_prompt', 0) }),
  }
}

/** What a log says of a prompt that was cut. */
export function truncationMessage(name: string, limit: number, dropped: string): string {
  return `${name} was cut after ${limit} tokens; this part is not drawn: ${JSON.stringify(dropped)}`
}

/** Tokens of a chunk between start and end. */
export function chunkSize(encoder: TextEncoder): number {
  return encoder.config.maxPositions - 2
}
