import { Graph, type Value } from '../graph/graph.ts'
import { add, concat, reduceMean, silu, slice } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { type ControlNetConfig, conditioningFactor } from './controlnet-config.ts'
import { midBlock2D } from './unet-2d-blocks.ts'
import { declareUNetInputs, downPath, timeConditioning, type UNetShape } from './unet-2d-condition.ts'

/** Name of a residual among the outputs; the last is the mid block's. */
export function residualName(index: number): string {
  return `residual.${index}`
}

/**
 * A graph of the part that depends on the control picture alone, for once per request: `image` [1, conditioningChannels, H, W], 0 … 1 → `embedding`
 * [1, C, H/factor, W/factor], which `buildControlNetGraph` takes. `controlnet_conditioning_channel_order` is dealt with here.
 */
export function buildControlImageGraph(config: ControlNetConfig, height: number, width: number): Graph {
  const graph = new Graph('controlnet_image', { toleratesReducedPrecision: true, fitsFloat16: true })
  const image = graph.input('image', 'float32', [1, config.conditioningChannels, height, width])
  const ordered = config.channelOrder === 'bgr' ? reverseChannels(image) : image
  graph.output('embedding', conditioningEmbedding(new Scope(graph, 'controlnet_cond_embedding'), ordered, config))
  return graph
}

/**
 * diffusers' ControlNetModel (models/controlnets/controlnet.py) without its conditioning scale: the inputs of `buildUNetGraph`, and
 * `embedding` [1, C, h, w] → `residual.0` … for each skip connection of the UNet, conv_in's result included, the last one for its mid
 * block: [B, C, h, w], or [B, C, 1, 1] where the model pools globally.
 */
export function buildControlNetGraph(config: ControlNetConfig, shape: UNetShape): Graph {
  const graph = new Graph('controlnet', { toleratesReducedPrecision: true, fitsFloat16: true })
  const { encoder } = config
  const inputs = declareUNetInputs(graph, encoder, shape)
  const channels = defined(encoder.downBlocks[0]).channels
  const embedding = graph.input('embedding', 'float32', [1, channels, shape.height, shape.width])
  const root = new Scope(graph)
  const conditioning = {
    temb: timeConditioning(root, encoder, inputs),
    encoderHiddenStates: inputs.encoderHiddenStates,
  }
  const states = downPath(root, encoder, inputs.sample, conditioning, (first) => add(first, embedding))
  const bottom = defined(states.at(-1))
  const middle = encoder.midBlock
    ? midBlock2D(root.child('mid_block'), bottom, conditioning, encoder.midBlock, encoder)
    : bottom
  const residuals = [
    ...states.map((state, i) => zeroConvolution(root.child(`controlnet_down_blocks.${i}`), state)),
    zeroConvolution(root.child('controlnet_mid_block'), middle),
  ]
  for (const [i, residual] of residuals.entries()) {
    graph.output(residualName(i), config.globalPool ? reduceMean(reduceMean(residual, 3), 2) : residual)
  }
  return graph
}

/** Graphs that together need every weight of the model, for holding a file against them. */
export function smallestControlNetGraphs(config: ControlNetConfig): Graph[] {
  const side = 2 ** (config.encoder.downBlocks.length - 1)
  const factor = conditioningFactor(config)
  return [
    buildControlImageGraph(config, side * factor, side * factor),
    buildControlNetGraph(config, { batch: 1, height: side, width: side }),
  ]
}

/** ControlNetConditioningEmbedding: convolutions that bring the control picture down to the latents' size. */
function conditioningEmbedding(scope: Scope, image: Value, config: ControlNetConfig): Value {
  const [first = 0, ...rest] = config.conditioningOutChannels
  let h = silu(scope.child('conv_in').conv2d(image, first))
  rest.forEach((channels, i) => {
    h = silu(scope.child(`blocks.${2 * i}`).conv2d(h, defined(h.shape[1])))
    h = silu(scope.child(`blocks.${2 * i + 1}`).conv2d(h, channels, { stride: 2, padding: 1 }))
  })
  return scope.child('conv_out').conv2d(h, defined(config.encoder.downBlocks[0]).channels)
}

/** The 1×1 convolution that a residual leaves through; zero when training begins. */
function zeroConvolution(scope: Scope, x: Value): Value {
  return scope.conv2d(x, defined(x.shape[1]), { kernel: 1 })
}

function reverseChannels(image: Value): Value {
  const channels = defined(image.shape[1])
  return concat(
    Array.from({ length: channels }, (_, i) => slice(image, 1, channels - 1 - i, channels - i)),
    1,
  )
}
