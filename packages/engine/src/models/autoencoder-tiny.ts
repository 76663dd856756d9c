import { ConfigFields, isSize } from '../config/config-fields.ts'
import { Graph, type Value } from '../graph/graph.ts'
import { add, div, mul, relu, scalar, sub, tanh, upsampleNearest } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'

/** The decoder of an AutoencoderTiny (TAESD and its kind): plain convolutions that draw the latents of another autoencoder, roughly and quickly. */
export interface TinyDecoderConfig {
  readonly outChannels: number
  readonly latentChannels: number
  /** Channels per level, the smallest map first; each level but the last doubles the size. */
  readonly channels: readonly number[]
  /** Blocks per level. */
  readonly blocks: readonly number[]
}

/** Latents beyond this are squeezed (diffusers' DecoderTiny). */
const LATENT_RANGE = 3

/**
 * Reads the config.json of a diffusers AutoencoderTiny, with that class's defaults.
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseTinyDecoderConfig(json: unknown): TinyDecoderConfig {
  const fields = new ConfigFields('AutoencoderTiny config', json)
  fields.refuse('act_fn', 'relu')
  fields.refuse('upsampling_scaling_factor', 2)
  fields.refuse('upsample_fn', 'nearest')
  const channels = fields.list('decoder_block_out_channels', [64, 64, 64, 64], isSize)
  const isCount = (item: unknown): item is number => item === 0 || isSize(item)
  return {
    outChannels: fields.size('out_channels', 3),
    latentChannels: fields.size('latent_channels', 4),
    channels,
    blocks: fields.list('num_decoder_blocks', [3, 3, 3, 1], isCount, channels.length),
  }
}

/** Pixels per latent along each side. */
export function tinyFactor({ channels }: TinyDecoderConfig): number {
  return 2 ** (channels.length - 1)
}

/**
 * diffusers' AutoencoderTiny.decode (models/autoencoders/vae.py, DecoderTiny): `latents` [B, latentChannels, h, w] as a UNet has them →
 * `image` [B, outChannels, H, W], about −1 … 1, not clamped.
 */
export function buildTinyDecoderGraph(
  config: TinyDecoderConfig,
  { batch, height, width }: { readonly batch: number; readonly height: number; readonly width: number },
): Graph {
  const graph = new Graph('preview_decoder', { toleratesReducedPrecision: true, isPreview: true, fitsFloat16: true })
  const factor = tinyFactor(config)
  const latents = graph.input('latents', 'float32', [batch, config.latentChannels, height / factor, width / factor])
  const root = new Scope(graph, 'decoder.layers')
  const last = config.channels.length - 1
  const range = scalar(latents, LATENT_RANGE)
  // Layers are numbered as in the checkpoint's Sequential, those without weights included.
  let h = relu(root.child(0).conv2d(mul(tanh(div(latents, range)), range), defined(config.channels[0])))
  let layer = 2
  for (const [level, channels] of config.channels.entries()) {
    for (let block = 0; block < (config.blocks[level] ?? 0); block++) h = tinyBlock(root.child(layer++), h, channels)
    if (level < last) {
      const [, , mapHeight = 0, mapWidth = 0] = h.shape
      h = upsampleNearest(h, 2 * mapHeight, 2 * mapWidth)
      layer++
    }
    const out = level === last ? config.outChannels : channels
    h = root.child(layer++).conv2d(h, out, { bias: level === last })
  }
  graph.output('image', sub(mul(h, scalar(h, 2)), scalar(h, 1)))
  return graph
}

/** diffusers' AutoencoderTinyBlock: three convolutions beside the input, which has as many channels. */
function tinyBlock(scope: Scope, x: Value, channels: number): Value {
  let h = relu(scope.child('conv.0').conv2d(x, channels))
  h = relu(scope.child('conv.2').conv2d(h, channels))
  return relu(add(scope.child('conv.4').conv2d(h, channels), x))
}
