import { Graph, type Value } from '../graph/graph.ts'
import { add, clip, div, mul, reshape, scalar, silu, slice, vector } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { dimensions, type FloatTensor, float32 } from '../tensor/tensor.ts'
import { attention } from './attention.ts'
import { type AutoencoderConfig, spatialFactor } from './autoencoder-kl-config.ts'
import { downsample2D, resnetBlock2D, upsample2D } from './resnet.ts'
import { toMap, toTokens } from './transformer-2d.ts'

/** Of every norm in an autoencoder (diffusers models/autoencoders/vae.py); not configurable. */
const NORM_EPSILON = 1e-6
/** DiagonalGaussianDistribution clamps the log-variance to this range. */
const LOGVAR_RANGE = [-30, 20] as const

/** Path segments of the attention in checkpoints from before diffusers 0.13, and today's. */
export const AUTOENCODER_RENAMES: Readonly<Record<string, string>> = {
  'attentions.0.query': 'attentions.0.to_q',
  'attentions.0.key': 'attentions.0.to_k',
  'attentions.0.value': 'attentions.0.to_v',
  'attentions.0.proj_attn': 'attentions.0.to_out.0',
}

export interface AutoencoderGraphOptions {
  readonly batch: number
  /** Picture height in pixels, a multiple of `spatialFactor(config)`. */
  readonly height: number
  /** Picture width in pixels, a multiple of `spatialFactor(config)`. */
  readonly width: number
}

/**
 * A graph that turns latents as a UNet uses them into pictures: `latents` [B, latentChannels, h, w] → `image`
 * [B, outChannels, height, width], about −1 … 1, not clamped. The scaling of the latents is undone inside, so that
 * `decode(latents / scaling_factor)` of diffusers is one run.
 * @throws RangeError when the picture's size is no multiple of the latents'
 */
export function buildDecoderGraph(config: AutoencoderConfig, options: AutoencoderGraphOptions): Graph {
  const factor = checkedFactor(config, options)
  const graph = new Graph('vae_decoder', { toleratesReducedPrecision: true, fitsFloat16: !config.forceUpcast })
  const { batch, height, width } = options
  const latents = graph.input('latents', 'float32', [batch, config.latentChannels, height / factor, width / factor])
  const scope = new Scope(graph)
  const h = decoderLevels(scope, latents, config, config.blockOutChannels.length - 1)
  graph.output('image', convOut(scope.child('decoder'), h, config.outChannels, config))
  return graph
}

/**
 * The first levels of the decoder: `latents` → `features` [B, C, 2^level · h, 2^level · w], what the decoder has after the resnets of a level.
 * @param level 0 is the deepest
 */
export function buildDecoderFeaturesGraph(
  config: AutoencoderConfig,
  options: AutoencoderGraphOptions,
  level: number,
): Graph {
  const factor = checkedFactor(config, options)
  const graph = new Graph('vae_decoder_features', {
    toleratesReducedPrecision: true,
    isPreview: true,
    fitsFloat16: !config.forceUpcast,
  })
  const { batch, height, width } = options
  const latents = graph.input('latents', 'float32', [batch, config.latentChannels, height / factor, width / factor])
  graph.output('features', decoderLevels(new Scope(graph), latents, config, level))
  return graph
}

/**
 * A graph that gives the posterior of pictures: `image` [B, inChannels, height, width] in −1 … 1 → `mean` and `logvar`,
 * both [B, latentChannels, h, w], the log-variance clamped to −30 … 20. A sample is mean + exp(logvar / 2) · noise;
 * `scaleLatents` makes latents of it.
 * @throws RangeError when the picture's size is no multiple of the latents'
 */
export function buildEncoderGraph(config: AutoencoderConfig, options: AutoencoderGraphOptions): Graph {
  checkedFactor(config, options)
  const graph = new Graph('vae_encoder', { toleratesReducedPrecision: true, fitsFloat16: !config.forceUpcast })
  const { latentChannels } = config
  const image = graph.input('image', 'float32', [options.batch, config.inChannels, options.height, options.width])
  const root = new Scope(graph)
  const encoded = encoder(root.child('encoder'), image, config)
  const moments = config.useQuantConv
    ? root.child('quant_conv').conv2d(encoded, 2 * latentChannels, { kernel: 1 })
    : encoded
  graph.output('mean', slice(moments, 1, 0, latentChannels))
  graph.output('logvar', clip(slice(moments, 1, latentChannels, 2 * latentChannels), ...LOGVAR_RANGE))
  return graph
}

/** What a UNet works on, from a sample of the posterior: (z − mean) · scaling_factor / std, in float32 at each step. */
export function scaleLatents(config: AutoencoderConfig, z: FloatTensor): FloatTensor {
  const { scalingFactor, latentsMean, latentsStd } = config
  const scaled = float32(z.shape)
  const [, channels = 0, height = 0, width = 0] = z.shape
  for (let i = 0; i < scaled.data.length; i++) {
    const channel = Math.floor(i / (height * width)) % channels
    const centered = Math.fround(defined(z.data[i]) - Math.fround(latentsMean?.[channel] ?? 0))
    const value = Math.fround(centered * Math.fround(scalingFactor))
    scaled.data[i] = value / Math.fround(latentsStd?.[channel] ?? 1)
  }
  return scaled
}

/** The inverse of `scaleLatents` inside a graph. */
function unscaleLatents(config: AutoencoderConfig, latents: Value): Value {
  const { scalingFactor, latentsMean, latentsStd } = config
  const perChannel = (values: readonly number[]) => reshape(vector(latents, Float32Array.from(values)), [-1, 1, 1])
  const spread = latentsStd ? mul(latents, perChannel(latentsStd)) : latents
  const z = div(spread, scalar(spread, scalingFactor))
  return latentsMean ? add(z, perChannel(latentsMean)) : z
}

/** conv_in, middle, and levels from the deepest to the one that is named. */
function decoderLevels(root: Scope, latents: Value, config: AutoencoderConfig, last: number): Value {
  const scope = root.child('decoder')
  const unscaled = unscaleLatents(config, latents)
  const z = config.usePostQuantConv
    ? root.child('post_quant_conv').conv2d(unscaled, config.latentChannels, { kernel: 1 })
    : unscaled
  const levels = config.blockOutChannels.toReversed().slice(0, last + 1)
  let h = scope.child('conv_in').conv2d(z, defined(levels[0]))
  h = midBlock(scope.child('mid_block'), h, config)
  levels.forEach((outChannels, i) => {
    const block = scope.child(`up_blocks.${i}`)
    h = resnets(block, h, config.layersPerBlock + 1, outChannels, config)
    const [height, width] = dimensions(h.shape.slice(2), 2)
    if (i < last) h = upsample2D(block.child('upsamplers.0'), h, [2 * height, 2 * width])
  })
  return h
}

/** The mirror image of the decoder; its last convolution gives the moments. */
function encoder(scope: Scope, image: Value, config: AutoencoderConfig): Value {
  const levels = config.blockOutChannels
  let h = scope.child('conv_in').conv2d(image, defined(levels[0]))
  levels.forEach((outChannels, i) => {
    const block = scope.child(`down_blocks.${i}`)
    h = resnets(block, h, config.layersPerBlock, outChannels, config)
    if (i < levels.length - 1) h = downsample2D(block.child('downsamplers.0'), h, 0)
  })
  h = midBlock(scope.child('mid_block'), h, config)
  return convOut(scope, h, 2 * config.latentChannels, config)
}

/** diffusers' UNetMidBlock2D as an autoencoder uses it: resnet, attention, resnet. */
function midBlock(scope: Scope, x: Value, config: AutoencoderConfig): Value {
  const channels = defined(x.shape[1])
  const resnet = (i: number, input: Value) =>
    resnetBlock2D(scope.child(`resnets.${i}`), input, undefined, resnetConfig(channels, config))
  const h = resnet(0, x)
  return resnet(1, config.midBlockAddAttention ? midAttention(scope.child('attentions.0'), h, config) : h)
}

/** One head as wide as the picture is deep, over all positions. */
function midAttention(scope: Scope, x: Value, config: AutoencoderConfig): Value {
  const tokens = toTokens(scope.child('group_norm').groupNorm(x, config.normGroups, NORM_EPSILON))
  return add(toMap(attention(scope, tokens, tokens, { heads: 1, projectionBias: true }), x), x)
}

function resnets(scope: Scope, x: Value, count: number, outChannels: number, config: AutoencoderConfig): Value {
  let h = x
  for (let i = 0; i < count; i++) {
    h = resnetBlock2D(scope.child(`resnets.${i}`), h, undefined, resnetConfig(outChannels, config))
  }
  return h
}

function resnetConfig(outChannels: number, config: AutoencoderConfig) {
  return { outChannels, groups: config.normGroups, epsilon: NORM_EPSILON }
}

function convOut(scope: Scope, x: Value, channels: number, config: AutoencoderConfig): Value {
  const normalized = scope.child('conv_norm_out').groupNorm(x, config.normGroups, NORM_EPSILON)
  return scope.child('conv_out').conv2d(silu(normalized), channels)
}

function checkedFactor(config: AutoencoderConfig, { height, width }: AutoencoderGraphOptions): number {
  const factor = spatialFactor(config)
  if (height % factor || width % factor) {
    throw new RangeError(
      `a picture for this autoencoder has sides that are multiples of ${factor}, got ${width}×${height}`,
    )
  }
  return factor
}
