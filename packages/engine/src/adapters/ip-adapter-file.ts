import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { ComponentWeights } from '../checkpoint/component-weights.ts'
import type { AttentionLayer } from '../models/attention-layers.ts'
import { detectImageProjection, type ImageProjectionConfig } from '../models/image-projection-config.ts'

/** The factors of a LoRA that a FaceID adapter brings along for one linear layer of the UNet. */
export interface BundledLoraModule {
  /** `down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q` */
  readonly path: string
  /** Keys of the file. */
  readonly down: string
  readonly up: string
}

/** What an IP-Adapter file holds, by the names of its tensors. */
export interface IPAdapterFile {
  readonly weights: ComponentWeights
  readonly projection: ImageProjectionConfig
  /** Applied with scale 1 beside the adapter (FaceID); empty for all others. */
  readonly lora: readonly BundledLoraModule[]
}

/** Keys of an IP-Adapter file that no graph of the adapter uses. */
export const IP_ADAPTER_LORA_KEYS = /^ip_adapter\.\d+\.to_(q|k|v|out)_lora\./

/**
 * Reads what an IP-Adapter's tensors are: `image_proj.*`, the projection, and `ip_adapter.<id>.*`, keys and values of the UNet's
 * cross-attentions; ids count all attentions of the UNet, down blocks, up blocks, mid block.
 * @param layers the attentions of the UNet that it is for
 * @throws CheckpointError when it is no IP-Adapter or one for another UNet; ModelConfigError for a projection that is not known
 */
export function readIPAdapter(weights: ComponentWeights, layers: readonly AttentionLayer[]): IPAdapterFile {
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
  return { weights, projection, lora: bundledLora(weights, layers) }
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

function bundledLora(weights: ComponentWeights, layers: readonly AttentionLayer[]): BundledLoraModule[] {
  return layers.flatMap(({ path }, id) =>
    ['q', 'k', 'v', 'out'].flatMap((name) => {
      const prefix = `ip_adapter.${id}.to_${name}_lora`
      const [down, up] = [`${prefix}.down.weight`, `${prefix}.up.weight`]
      if (!weights.tensors.has(down) || !weights.tensors.has(up)) return []
      return [{ path: `${path}.to_${name === 'out' ? 'out.0' : name}`, down, up }]
    }),
  )
}
