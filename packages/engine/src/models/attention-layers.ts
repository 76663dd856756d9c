import { defined } from '../tensor/defined.ts'
import type { UNetBlocksConfig } from './unet-2d-blocks-config.ts'

/** One of a UNet's attentions. */
export interface AttentionLayer {
  /** `down_blocks.1.attentions.0.transformer_blocks.0.attn2` */
  readonly path: string
  /** The transformer it is in: part of the UNet, block of that part, transformer of that block. */
  readonly part: 'down' | 'up' | 'mid'
  readonly block: number
  readonly transformer: number
  readonly kind: 'self' | 'cross'
  /** Channels of its queries. */
  readonly channels: number
  /** How often the picture was halved before it; 0 is the size of the latents. */
  readonly level: number
}

/**
 * A UNet's attentions in the order in which diffusers numbers them (`UNet2DConditionModel.attn_processors`): down blocks, **up blocks,
 * then the mid block**. IP-Adapter files count by it: cross-attention k is `ip_adapter.{2k+1}`.
 */
export function attentionLayers(config: UNetBlocksConfig): AttentionLayer[] {
  const { downBlocks, midBlock, upBlocks } = config
  const deepest = downBlocks.length - 1
  const layers: AttentionLayer[] = []
  const addTransformers = (part: AttentionLayer['part'], block: number, place: Place, counts: readonly number[]) => {
    const folder = part === 'mid' ? 'mid_block' : `${part}_blocks.${block}`
    for (const [transformer, count] of counts.entries()) {
      for (let i = 0; i < count; i++) {
        const path = `${folder}.attentions.${transformer}.transformer_blocks.${i}`
        const common = { part, block, transformer, ...place }
        layers.push(
          { path: `${path}.attn1`, kind: 'self', ...common },
          { path: `${path}.attn2`, kind: 'cross', ...common },
        )
      }
    }
  }
  for (const [i, { channels, crossAttention }] of downBlocks.entries()) {
    addTransformers('down', i, { channels, level: i }, crossAttention?.layers ?? [])
  }
  for (const [i, { channels, crossAttention }] of upBlocks.entries()) {
    addTransformers('up', i, { channels, level: deepest - i }, crossAttention?.layers ?? [])
  }
  const channels = downBlocks.at(-1)?.channels ?? 0
  addTransformers('mid', 0, { channels, level: deepest }, midBlock?.crossAttention?.layers ?? [])
  return layers
}

type Place = Pick<AttentionLayer, 'channels' | 'level'>

/** The size of a UNet's maps at each level, the latents' own first. */
export function levelSizes(
  config: Pick<UNetBlocksConfig, 'downBlocks'> & { readonly downsamplePadding: number },
  height: number,
  width: number,
): { readonly height: number; readonly width: number }[] {
  // A 3×3 convolution of stride 2 over one more row on both sides, or, with padding 0, on one side.
  const halved = (size: number) =>
    config.downsamplePadding === 0 ? size >> 1 : Math.floor((size - 3 + 2 * config.downsamplePadding) / 2) + 1
  const sizes = [{ height, width }]
  while (sizes.length < config.downBlocks.length) {
    const last = defined(sizes.at(-1))
    sizes.push({ height: halved(last.height), width: halved(last.width) })
  }
  return sizes
}
