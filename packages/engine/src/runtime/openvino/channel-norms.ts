import type { OnnxModel, OnnxNode } from '../../formats/onnx.ts'
import type { GroupNorm } from '../../graph/graph.ts'
import type { Shape } from '../../tensor/tensor.ts'
import { dimensions } from '../../tensor/tensor.ts'
import { NodeChain } from '../node-chain.ts'

/**
 * Writes group norms so that no map changes its layout: OpenVINO's convolutions want channels last, and a norm that sees the map as rows of groups
 * wants them first, so that each norm costs two copies of the map. Here means and sums of squares are taken of each channel, which any layout
 * serves, and what is left to do between the channels of a group is done with one number for each.
 * @param norms by the name of their result
 * @param shapeOf shape of a value that a node reads or makes
 */
export function channelNorms(
  model: OnnxModel,
  norms: ReadonlyMap<string, GroupNorm>,
  shapeOf: (name: string) => Shape,
): OnnxModel {
  if (norms.size === 0) return model
  const initializers = [...model.initializers]
  const nodes = model.nodes.flatMap((node) => {
    const [result = ''] = node.outputs
    const norm = norms.get(result)
    if (norm === undefined) return [node]
    const chain = new NodeChain(node, 'channels')
    buildNorm(chain, norm, shapeOf(norm.x), result)
    initializers.push(...chain.initializers)
    return chain.nodes
  })
  return withoutUnused({ ...model, nodes, initializers })
}

function buildNorm(chain: NodeChain, norm: GroupNorm, shape: Shape, result: string): void {
  const { x, groups, epsilon, weight, bias } = norm
  const [batch, channels, height, width] = dimensions(shape, 4)
  const area = chain.integers([2, 3])
  const [grouped, perChannel] = [
    [batch, groups, channels / groups],
    [batch, channels, 1, 1],
  ].map((each) => chain.integers(each)) as [string, string]
  /** The mean of a group's channels, [B, G, 1], of one number for each channel. */
  const groupMean = (value: string) =>
    chain.add('ReduceMean', [chain.add('Reshape', [value, grouped]), chain.integers([2])], { keepdims: 1 })
  const mean = groupMean(chain.add('ReduceMean', [x, area], { keepdims: 1 }))
  const centered = chain.add('Sub', [x, chain.add('Reshape', [chain.add('Expand', [mean, grouped]), perChannel])])
  // The root of the sum of squares: a sum of squares is a map of squares and then their sum there.
  const length = chain.add('ReduceL2', [centered, area], { keepdims: 1 })
  const variance = chain.add('Div', [groupMean(chain.add('Mul', [length, length])), chain.scalar(height * width)])
  const deviation = chain.add('Sqrt', [chain.add('Add', [variance, chain.scalar(epsilon)])])
  const gain = chain.add('Reshape', [weight, chain.integers([1, groups, channels / groups])])
  const scale = chain.add('Reshape', [chain.add('Div', [gain, deviation]), perChannel])
  const scaled = chain.add('Mul', [centered, scale])
  chain.add('Add', [scaled, chain.add('Reshape', [bias, chain.integers([channels, 1, 1])])], {}, result)
}

/** The model without nodes and constants that lead to no output. */
function withoutUnused(model: OnnxModel): OnnxModel {
  const used = new Set(model.outputs.map(({ name }) => name))
  const nodes: OnnxNode[] = []
  for (const node of [...model.nodes].reverse()) {
    if (!node.outputs.some((name) => used.has(name))) continue
    nodes.push(node)
    for (const name of node.inputs) used.add(name)
  }
  return {
    ...model,
    nodes: nodes.reverse(),
    initializers: model.initializers.filter(({ name }) => used.has(name)),
  }
}
