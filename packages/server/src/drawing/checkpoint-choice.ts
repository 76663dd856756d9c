import { join } from 'node:path'
import type { ModelRegistry } from '../models/model-registry.ts'
import {
  type AbsentModel,
  type FindContext,
  findBaseModel,
  findLcmLora,
  pathOf,
  type WeightsFinder,
} from './find-weights.ts'
import type { ModelChoice } from './image-engine.ts'
import type { PictureSize } from './picture-size.ts'

/** A checkpoint on this machine. */
export interface LocalCheckpoint {
  readonly folder: string
  /** What responses, logs and the banner call it. */
  readonly label: string
  /** The precision variant to read, where the plain weights are not here. */
  readonly variant?: string
  /** Folder of the autoencoder that it is drawn with in place of its own. */
  readonly vae?: string
  /** The LCM-LoRA that goes with it, when there is one on this machine. */
  readonly lcmLora: string | undefined
  /** True when a bundled demo checkpoint stands in for the model that was asked for. */
  readonly standIn: boolean
}

/** Where models are looked for. */
export interface ModelSources {
  readonly store: WeightsFinder
  readonly registry: ModelRegistry
}

const LCM_LORA_FILE = 'pytorch_lora_weights.safetensors'

interface BundledCheckpoint {
  /** What requests name it by. */
  readonly id: string
  readonly label: string
  /** Along a side, in pixels. */
  readonly nativeSize: number
  /** Bundled folder of the autoencoder that makes the larger pictures of the same latents. */
  readonly vae?: string
}

const BUNDLED_FOLDER = 'pinhole-512'

/** The bundled checkpoints, one folder with two autoencoders. */
const BUNDLED: readonly BundledCheckpoint[] = [
  { id: 'pinhole/512', label: 'pinhole-512', nativeSize: 512 },
  { id: 'pinhole/1024', label: 'pinhole-1024', nativeSize: 1024, vae: 'pinhole-1024-vae' },
]

/**
 * The checkpoint to draw with: the model itself, or the bundled demo checkpoint whose native size is nearest.
 * @param lcmLoraName the LCM-LoRA of that model's family
 * @throws WireError 422 where the model is here and cannot be used
 */
export async function chooseCheckpoint(
  { store, registry }: ModelSources,
  name: string,
  lcmLoraName: string,
  size: PictureSize,
  context: FindContext,
): Promise<LocalCheckpoint> {
  const bundled = bundledCheckpoint(registry, name)
  if (bundled !== undefined) return bundled
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
export function latentConsistencyChoice({ lcmLora, folder, label, variant, vae }: LocalCheckpoint): ModelChoice {
  return {
    folder,
    label,
    ...(variant !== undefined && { variant }),
    ...(vae !== undefined && { vae }),
    loras: lcmLora === undefined ? [] : [{ path: lcmLora, scale: 1 }],
  }
}

/** The bundled demo checkpoint whose native size is nearest to the picture's, by area; the request's log says so. */
export function standInFor(
  registry: ModelRegistry,
  { width, height }: PictureSize,
  absent: AbsentModel,
  context: FindContext,
): LocalCheckpoint {
  const side = Math.sqrt(width * height)
  const distance = (nativeSize: number) => Math.abs(Math.log(side / nativeSize))
  const nearest = BUNDLED.reduce((best, next) => (distance(next.nativeSize) < distance(best.nativeSize) ? next : best))
  context.log(`${nearest.label} draws in its place: ${absent.why}`, 'WARN')
  return { ...openBundled(registry, nearest), standIn: true }
}

/** The bundled checkpoint of that id, or undefined. */
export function bundledCheckpoint(registry: ModelRegistry, id: string): LocalCheckpoint | undefined {
  const checkpoint = BUNDLED.find((bundled) => bundled.id === id)
  return checkpoint && openBundled(registry, checkpoint)
}

function openBundled(registry: ModelRegistry, { label, vae }: BundledCheckpoint): LocalCheckpoint {
  return {
    folder: registry.bundled(BUNDLED_FOLDER),
    label,
    ...(vae !== undefined && { vae: registry.bundled(vae) }),
    lcmLora: join(registry.bundled('pinhole-lcm-lora'), LCM_LORA_FILE),
    standIn: false,
  }
}
