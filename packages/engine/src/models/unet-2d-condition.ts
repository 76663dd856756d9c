import { Graph, type Value } from '../graph/graph.ts'
import { add, concat, mul, reshape, scalar, silu, sub } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { DYNAMIC } from '../tensor/tensor.ts'
import { sinusoids, timestepEmbedding } from './embeddings.ts'
import { type Conditioning, downBlock2D, midBlock2D, upBlock2D } from './unet-2d-blocks.ts'
import { TIME_IDS, type UNetConfig } from './unet-2d-condition-config.ts'
import type { UNetHooks } from './unet-hooks.ts'

export interface UNetInputs {
  /** [B, inChannels, h, w] */
  readonly sample: Value
  /** float32 [1], or [B] */
  readonly timestep: Value
  /** [B, tokens, crossAttentionChannels], as many tokens as come */
  readonly encoderHiddenStates: Value
  /** [B, timeCondProjChannels], where the config has them */
  readonly timestepCond?: Value
  /** The additions of SDXL: textEmbeds [B, textTime.channels − 6·timeIdChannels] and timeIds [B, 6] */
  readonly textTime?: { readonly textEmbeds: Value; readonly timeIds: Value }
}

/** Sizes of one UNet evaluation. */
export interface UNetShape {
  /** Samples per run; with classifier-free guidance twice the pictures. */
  readonly batch: number
  /** Height of the latents. */
  readonly height: number
  /** Width of the latents. */
  readonly width: number
}

/** Declares what an adapter needs of a UNet's graph and says where it adds to it. */
export type UNetExtension = (graph: Graph, shape: UNetShape) => UNetHooks

/**
 * A graph that predicts noise: `sample` [B, C, h, w], `timestep` float32 [1], `encoder_hidden_states` [B, tokens, X] of any length and,
 * where the config asks for them, `timestep_cond` [B, dim], `text_embeds` [B, P], `time_ids` [B, 6] → `noise_pred`.
 * @param extend adds the inputs and branches of adapters
 */
export function buildUNetGraph(config: UNetConfig, shape: UNetShape, extend?: UNetExtension): Graph {
  const graph = new Graph('unet', { toleratesReducedPrecision: true, fitsFloat16: true })
  const inputs = declareUNetInputs(graph, config, shape)
  const hooks = extend?.(graph, shape) ?? {}
  graph.output('noise_pred', unet2DCondition(new Scope(graph, '', hooks.layer), config, inputs, hooks))
  return graph
}

/** Declares the inputs that UNets and ControlNets share, in the names that `buildUNetGraph` lists. */
export function declareUNetInputs(graph: Graph, config: UNetConfig, shape: UNetShape): UNetInputs {
  const { batch, height, width } = shape
  const { timeCondProjChannels, textTime } = config
  const sample = graph.input('sample', 'float32', [batch, config.inChannels, height, width])
  const timestep = graph.input('timestep', 'float32', [1])
  const encoderHiddenStates = graph.input('encoder_hidden_states', 'float32', [
    batch,
    DYNAMIC,
    config.crossAttentionChannels,
  ])
  return {
    sample,
    timestep,
    encoderHiddenStates,
    ...(timeCondProjChannels && {
      timestepCond: graph.input('timestep_cond', 'float32', [batch, timeCondProjChannels]),
    }),
    ...(textTime && {
      textTime: {
        textEmbeds: graph.input('text_embeds', 'float32', [
          batch,
          textTime.channels - TIME_IDS * textTime.timeIdChannels,
        ]),
        timeIds: graph.input('time_ids', 'float32', [batch, TIME_IDS]),
      },
    }),
  }
}

/**
 * diffusers' UNet2DConditionModel (models/unets/unet_2d_condition.py): Ronneberger's U with resnets and transformers.
 * @returns [B, outChannels, h, w]
 */
function unet2DCondition(scope: Scope, config: UNetConfig, inputs: UNetInputs, hooks: UNetHooks = {}): Value {
  const conditioning = {
    temb: timeConditioning(scope, config, inputs),
    encoderHiddenStates: inputs.encoderHiddenStates,
    hooks,
  }
  const skips = downPath(scope, config, inputs.sample, conditioning)
  const bottom = defined(skips.at(-1))
  const middle = config.midBlock
    ? midBlock2D(scope.child('mid_block'), bottom, conditioning, config.midBlock, config)
    : bottom
  const carried = skips.map((skip, i) => hooks.skip?.(i, skip) ?? skip)
  const h = upPath(scope, config, hooks.mid?.(middle) ?? middle, carried, conditioning)
  const normalized = scope.child('conv_norm_out').groupNorm(h, config.normGroups, config.normEpsilon)
  return scope.child('conv_out').conv2d(silu(normalized), config.outChannels, { kernel: config.convOutKernel })
}

/** The time embedding, [1 or B, timeEmbedChannels], with everything that is added to it. */
export function timeConditioning(scope: Scope, config: UNetConfig, inputs: UNetInputs): Value {
  const { flipSinToCos, freqShift, timeProjChannels, timeEmbedChannels } = config
  const time = sinusoids(inputs.timestep, { channels: timeProjChannels, flipSinToCos, freqShift })
  const temb = timestepEmbedding(scope.child('time_embedding'), time, timeEmbedChannels, inputs.timestepCond)
  if (!config.textTime || !inputs.textTime) return temb
  const { textEmbeds, timeIds } = inputs.textTime
  const ids = sinusoids(reshape(timeIds, [-1]), { channels: config.textTime.timeIdChannels, flipSinToCos, freqShift })
  const text = concat([textEmbeds, reshape(ids, [defined(timeIds.shape[0]), -1])], 1)
  return add(timestepEmbedding(scope.child('add_embedding'), text, timeEmbedChannels), temb)
}

/**
 * conv_in and the down blocks.
 * @param afterConvIn what goes on in place of conv_in's result
 * @returns every state that a skip connection carries, the deepest last
 */
export function downPath(
  scope: Scope,
  config: UNetConfig,
  sample: Value,
  conditioning: Conditioning,
  afterConvIn: (h: Value) => Value = (h) => h,
): Value[] {
  const { downBlocks, downsamplePadding } = config
  const centered = config.centerInputSample ? sub(mul(sample, scalar(sample, 2)), scalar(sample, 1)) : sample
  const channels = defined(downBlocks[0]).channels
  const skips = [afterConvIn(scope.child('conv_in').conv2d(centered, channels, { kernel: config.convInKernel }))]
  downBlocks.forEach((block, i) => {
    const padding = i < downBlocks.length - 1 ? downsamplePadding : undefined
    const blockScope = scope.child(`down_blocks.${i}`)
    skips.push(...downBlock2D(blockScope, defined(skips.at(-1)), conditioning, block, config, padding))
  })
  return skips
}

/**
 * The up blocks. Each upsamples to the size of the skip that comes next, which is twice its own except where the way down
 * rounded an odd size up.
 */
function upPath(
  scope: Scope,
  config: UNetConfig,
  x: Value,
  skips: readonly Value[],
  conditioning: Conditioning,
): Value {
  const remaining = [...skips]
  let h = x
  config.upBlocks.forEach((block, i) => {
    const taken = remaining.splice(remaining.length - block.resnets)
    const next = remaining.at(-1)?.shape.slice(2) as [number, number] | undefined
    h = upBlock2D(scope.child(`up_blocks.${i}`), h, taken, conditioning, block, config, next)
  })
  return h
}
