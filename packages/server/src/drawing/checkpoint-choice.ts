import { join } from 'node:path'
import type { ModelRegistry } from '../models/model-registry.ts'
import type { PictureSize } from './picture-size.ts'

/** A checkpoint on this machine. */
export interface LocalCheckpoint {
  readonly folder: string
  /** What responses, logs and the banner call it. */
  readonly label: string
  /** The LCM-LoRA that goes with it, when there is one on this machine. */
  readonly lcmLora: string | undefined
  /** True when a bundled demo checkpoint stands in for the model that was asked for. */
  readonly standIn: boolean
}

const LCM_LORA_FILE = 'pytorch_lora_weights.safetensors'

/** The bundled checkpoints by native size in pixels along a side. */
const BUNDLED = [
  { name: 'pinhole-512', nativeSize: 512 },
  { name: 'pinhole-1024', nativeSize: 1024 },
] as const

/**
 * The checkpoint to draw with: the model itself, or the bundled demo checkpoint whose native size is nearest.
 * @param lcmLoraName the LCM-LoRA of that model's family
 */
export async function chooseCheckpoint(
  registry: ModelRegistry,
  name: string,
  lcmLoraName: string,
  size: PictureSize,
): Promise<LocalCheckpoint> {
  const folder = await registry.find(name)
  if (folder === undefined) return standInFor(registry, size)
  const loraFolder = await registry.find(lcmLoraName)
  return {
    folder,
    label: name,
    lcmLora: loraFolder === undefined ? undefined : join(loraFolder, LCM_LORA_FILE),
    standIn: false,
  }
}

/** The bundled demo checkpoint whose native size is nearest to the picture's, by area. */
export function standInFor(registry: ModelRegistry, { width, height }: PictureSize): LocalCheckpoint {
  const side = Math.sqrt(width * height)
  const distance = (nativeSize: number) => Math.abs(Math.log(side / nativeSize))
  const nearest = BUNDLED.reduce((best, next) => (distance(next.nativeSize) < distance(best.nativeSize) ? next : best))
  return {
    folder: registry.bundled(nearest.name),
    label: nearest.name,
    lcmLora: join(registry.bundled('pinhole-lcm-lora'), LCM_LORA_FILE),
    standIn: true,
  }
}
