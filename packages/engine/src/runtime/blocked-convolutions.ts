import { readsPlainMap } from '../checkpoint/blocked-filter.ts'
import type { OnnxModel, OnnxNode } from '../formats/onnx.ts'
import type { Shape } from '../tensor/tensor.ts'

const DOMAIN = 'com.microsoft.nchwc'

/**
 * Puts convolutions whose weights are already reordered into onnxruntime's own CPU form (NCHWc: channels in blocks of a vector
 * register's width). It chooses this form for every convolution anyway, but then reorders all weights on one thread at each load
 * and keeps the copies in memory. Maps are reordered around each convolution: 0.5 % of a UNet step, where onnxruntime's own
 * rewriting, which leaves a few reorderings out, has 0.4 %.
 * @param shapes [O, I, kh, kw] of the values that hold reordered weights, by name
 * @throws Error when such weights feed anything but a convolution
 */
export function blockConvolutions(model: OnnxModel, block: number, shapes: ReadonlyMap<string, Shape>): OnnxModel {
  if (shapes.size === 0) return model
  const nodes = model.nodes.flatMap((node) => {
    const [x, weight] = node.inputs
    if (!node.inputs.some((name) => shapes.has(name))) return [node]
    const [outChannels, inChannels] = (node.opType === 'Conv' && shapes.get(weight ?? '')) || []
    if (x === undefined || outChannels === undefined || inChannels === undefined) {
      throw new Error(`${node.name} (${node.opType}) reads weights that are stored for convolutions only`)
    }
    return blockedConvolution(node, x, { outChannels, isPlainInput: readsPlainMap(inChannels, block) })
  })
  return { ...model, opsets: { ...model.opsets, [DOMAIN]: 1 }, nodes }
}

interface BlockedForm {
  readonly outChannels: number
  readonly isPlainInput: boolean
}

function blockedConvolution(node: OnnxNode, x: string, { outChannels, isPlainInput }: BlockedForm): OnnxNode[] {
  const [output] = node.outputs as [string]
  const [input, result] = [`${output}/blocked-input`, `${output}/blocked`]
  const reorderInput: OnnxNode = {
    name: input,
    opType: 'ReorderInput',
    domain: DOMAIN,
    inputs: [x],
    outputs: [input],
    attributes: { channels_last: 0 },
  }
  const convolution: OnnxNode = {
    ...node,
    domain: DOMAIN,
    inputs: [isPlainInput ? x : input, ...node.inputs.slice(1)],
    outputs: [result],
  }
  const reorderOutput: OnnxNode = {
    name: result,
    opType: 'ReorderOutput',
    domain: DOMAIN,
    inputs: [result],
    outputs: [output],
    attributes: { channels: outChannels, channels_last: 0 },
  }
  return isPlainInput ? [convolution, reorderOutput] : [reorderInput, convolution, reorderOutput]
}
