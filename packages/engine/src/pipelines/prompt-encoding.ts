import { concatenateLast, type FloatTensor } from '../tensor/tensor.ts'
import type { PromptConditioning } from './stable-diffusion.ts'
import type { TextEncoder } from './text-encoder.ts'

/** The text encoders of a checkpoint; SDXL has two. */
export interface TextEncoders {
  readonly first: TextEncoder
  readonly second?: TextEncoder
}

/**
 * The prompt embeds that a UNet is conditioned on.
 *
 * SD 1.x: the last hidden state; with clip skip k the one k layers earlier, under the final norm all the same.
 * SDXL: both encoders' penultimate hidden states side by side, without a final norm; with clip skip k, k layers earlier; and the
 * second encoder's pooled output, which clip skip leaves alone.
 * @throws RangeError when clip skip leaves no layer
 */
export async function encodePrompt(
  { first, second }: TextEncoders,
  prompt: string,
  clipSkip: number,
): Promise<PromptConditioning> {
  if (!second) {
    const output = clipSkip === 0 ? 'last_hidden_state' : (`normalized_hidden_states.${-(clipSkip + 1)}` as const)
    const [embeds] = await first.encode(prompt, [output])
    return { embeds: embeds as FloatTensor }
  }
  const hidden = `hidden_states.${-(clipSkip + 2)}` as const
  const [embeds] = await first.encode(prompt, [hidden])
  const [embeds2, pooledEmbeds] = await second.encode(prompt, [hidden, 'text_embeds'])
  return {
    embeds: concatenateLast(embeds as FloatTensor, embeds2 as FloatTensor),
    pooledEmbeds: pooledEmbeds as FloatTensor,
  }
}
