import { join } from 'node:path'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import type { ModelRegistry } from '../models/model-registry.ts'
import type { ModelStore } from '../models/model-store.ts'
import { type AbsentModel, findBaseModel, findLcmLora, pathOf } from './find-weights.ts'
import type { ModelChoice } from './image-engine.ts'
import type { PictureSize } from './picture-size.ts'

/** A checkpoint on this machine. */
export interface LocalCheckpoint {
  readonly folder: string
  /** What responses, logs and the banner call it. */
  readonly label: string
  /** The precision variant to read, where the plain weights are not here. */
  readonly variant?: string
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
 * @throws WireError 422 where the model is here and cannot be used
 */
export async function chooseCheckpoint(
  { store, registry }: { readonly store: ModelStore; readonly registry: ModelRegistry },
  name: string,
  lcmLoraName: string,
  size: PictureSize,
  context: HandlerContext,
): Promise<LocalCheckpoint> {
  const found = await findBaseModel(store, { name }, context)
  if (found.type === 'absent') return standInFor(registry, size, found, context)
  const variant = found.type === 'file' ? undefined : found.variant
  return {
    folder: pathOf(found),
    label: name,
    ...(variant !== undefined && { variant }),
    lcmLora: await findLcmLora(store, lcmLoraName, context),
    standIn: false,
  }
}

/** The checkpoint with its LCM-LoRA merged in. */
export function latentConsistencyChoice({ lcmLora, folder, label, variant }: LocalCheckpoint): ModelChoice {
  return {
    folder,
    label,
    ...(variant !== undefined && { variant }),
    loras: lcmLora === undefined ? [] : [{ path: lcmLora, scale: 1 }],
  }
}

/** The bundled demo checkpoint whose native size is nearest to the picture's, by area; the request's log says so. */
export function standInFor(
  registry: ModelRegistry,
  { width, height }: PictureSize,
  absent: AbsentModel,
  context: HandlerContext,
): LocalCheckpoint {
  const side = Math.sqrt(width * height)
  const distance = (nativeSize: number) => Math.abs(Math.log(side / nativeSize))
  const nearest = BUNDLED.reduce((best, next) => (distance(next.nativeSize) < distance(best.nativeSize) ? next : best))
  context.log(`${nearest.name} draws in its place: ${absent.why}`, 'WARN')
  return {
    folder: registry.bundled(nearest.name),
    label: nearest.name,
    lcmLora: join(registry.bundled('pinhole-lcm-lora'), LCM_LORA_FILE),
    standIn: true,
  }
}
