import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { CLIP_TEXT_RENAMES } from '../models/clip-text.ts'
import type { LoraComponent } from './lora-keys.ts'
import type { BaseWeights, LoraBase } from './lora-match.ts'

/**
 * The weights of a checkpoint that LoRAs can change, by the headers of its files alone.
 * @throws CheckpointError, WeightFileError when it cannot be read
 */
export async function openLoraBase(path: string): Promise<LoraBase> {
  const checkpoint = await openCheckpoint(path)
  const base: Partial<Record<LoraComponent, BaseWeights>> = {}
  for (const name of ['unet', 'text_encoder', 'text_encoder_2'] as const) {
    if (!checkpoint.components.has(name)) continue
    const renames = name === 'unet' ? {} : { renames: CLIP_TEXT_RENAMES }
    base[name] = (await checkpoint.component(name).weights(renames)).tensors
  }
  return base
}
