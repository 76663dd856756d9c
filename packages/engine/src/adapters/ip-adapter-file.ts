import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { ComponentWeights } from '../checkpoint/component-weights.ts'
import type { AttentionLayer } from '../models/attention-layers.ts'
import { detectImageProjection, type ImageProjectionConfig } from '../models/image-projection-config.ts'
import { type Lora, readLora } from './lora.ts'

/** What an IP-Adapter file holds, by the names of its tensors. */
export interface IPAdapterFile {
  readonly weights: ComponentWeights
  readonly projection: ImageProjectionConfig
  /** Of the UNet, applied with scale 1 beside the adapter: FaceID files have one. */
  readonly lora: Lora | undefined
}

/** A LoRA's factor among an IP-Adapter's keys: the attention's number, its layer, `down` or `up`. */
const BUNDLED_FACTOR = /^ip_adapter\.(\d+)\.to_(q|k|v|out)_lora\.(down|up)\.weight$/

/** Keys of an IP-Adapter file that no graph of the adapter uses. */
export const IP_ADAPTER_LORA_KEYS = BUNDLED_FACTOR

/**
 * Reads what an IP-Adapter's tensors are: `image_proj.*`, the projection, and `ip_adapter.<id>.*`, keys and values of the UNet's
 * cross-attentions; ids count all attentions of the UNet, down blocks, up blocks, mid block.
 * @param layers the attentions of the UNet that it is for
 * @throws CheckpointError when it is no IP-Adapter or one for another UNet; ModelConfigError for a projection that is not known
 */
export async function readIPAdapter(
  weights: ComponentWeights,
  layers: readonly AttentionLayer[],
): Promise<IPAdapterFile> {
  const shapes = new Map(
    [...weights.tensors].flatMap(([key, { shape }]) =>
      key.startsWith('image_proj.') ? [[key.slice('image_proj.'.length), shape] as const] : [],
    ),
  )
  if (shapes.size === 0) {
    throw new CheckpointError(
      `${weights.source} is no IP-Adapter: none of its ${weights.tensors.size} keys begins with image_proj.`,
    )
  }
  const projection = detectImageProjection(shapes, weights.source)
  requireSameUNet(weights, layers)
  return { weights, projection, lora: await bundledLora(weights, layers) }
}

function requireSameUNet(weights: ComponentWeights, layers: readonly AttentionLayer[]): void {
  const ids = [...weights.tensors.keys()].filter((key) => key.endsWith('.to_k_ip.weight')).length
  const expected = layers.filter(({ kind }) => kind === 'cross').length
  if (ids === expected) return
  throw new CheckpointError(
    `the IP-Adapter ${weights.source} is for a UNet with ${ids} cross-attentions (${familyOf(ids)}), and this base model has ` +
      `${expected} (${familyOf(expected)})`,
  )
}

function familyOf(crossAttentions: number): string {
  return { 16: 'SD1.5', 70: 'SDXL' }[crossAttentions] ?? 'another family'
}

/** The factors that stand beside keys and values, `ip_adapter.<id>.to_q_lora.down.weight`, under the names that LoRA files have. */
async function bundledLora(weights: ComponentWeights, layers: readonly AttentionLayer[]): Promise<Lora | undefined> {
  const tensors = new Map(
    [...weights.tensors].flatMap(([key, tensor]) => {
      const [, id, projection, factor] = BUNDLED_FACTOR.exec(key) ?? []
      const path = layers[Number(id)]?.path
      if (path === undefined) return []
      const layer = projection === 'out' ? 'to_out.0' : `to_${projection}`
      return [[`unet.${path}.${layer}.lora.${factor}.weight`, tensor] as const]
    }),
  )
  return tensors.size === 0 ? undefined : readLora(weights.source, { ...weights, tensors })
}
