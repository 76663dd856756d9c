import type { OnnxInitializer, OnnxModel, OnnxNode } from '../formats/onnx.ts'
import { bytesOf, float32, int64, type Shape, type Tensor } from '../tensor/tensor.ts'
import { NodeChain } from './node-chain.ts'

/**
 * Writes a model in operators that onnxruntime's WebGPU provider (1.30) computes rightly; found by comparing node by node with its CPU provider:
 * - the fused attention is 1e-2 off: the products and the softmax that it stands for are 5e-7 off;
 * - InstanceNormalization takes no heed of its epsilon, which is 1e-2 where a group varies little: mean and variance are taken plainly;
 * - convolutions of 6, 9, 18 … input channels (multiples of 3, not of 4) and more than three are wrong: they get channels of zeros.
 * @param shapeOf shape of a value that a node reads or makes, or of a weight
 */
export function webGpuForm(model: OnnxModel, shapeOf: (name: string) => Shape): OnnxModel {
  const form = new WebGpuForm(shapeOf)
  const nodes = model.nodes.flatMap((node) => form.rewrite(node))
  return { ...model, nodes, initializers: [...model.initializers, ...form.constants.values()] }
}

class WebGpuForm {
  readonly constants = new Map<string, OnnxInitializer>()
  readonly #shapeOf: (name: string) => Shape

  constructor(shapeOf: (name: string) => Shape) {
    this.#shapeOf = shapeOf
  }

  rewrite(node: OnnxNode): readonly OnnxNode[] {
    if (node.opType === 'MultiHeadAttention') return this.#attention(node)
    if (node.opType === 'InstanceNormalization') return this.#normalization(node)
    if (node.opType === 'Conv') return this.#convolution(node)
    return [node]
  }

  /** softmax(q kᵀ / √d + bias) v, the heads as an axis of their own. */
  #attention(node: OnnxNode): readonly OnnxNode[] {
    const [query = '', key = '', value = '', , , bias] = node.inputs
    const heads = Number(node.attributes.num_heads)
    const headSize = (this.#shapeOf(query)[2] ?? 0) / heads
    const chain = new NodeChain(node, 'plain')
    const add = chain.add.bind(chain)
    // Zeros keep the sizes of batch and tokens, whatever they are.
    const split = this.#constant(`heads/${heads}`, int64([4], [0, 0, heads, -1]))
    const scale = this.#constant(`scale/${headSize}`, float32([], Float32Array.of(1 / Math.sqrt(headSize))))
    const byHead = (x: string, perm: readonly number[]) => add('Transpose', [add('Reshape', [x, split])], { perm })
    const scaled = add('Mul', [byHead(query, [0, 2, 1, 3]), scale])
    const scores = add('MatMul', [scaled, byHead(key, [0, 2, 3, 1])])
    const weights = chain.addInFloat32('Softmax', [bias ? add('Add', [scores, bias]) : scores], { axis: -1 })
    const attended = add('MatMul', [weights, byHead(value, [0, 2, 1, 3])])
    const joined = this.#constant('joined', int64([3], [0, 0, -1]))
    add('Reshape', [add('Transpose', [attended], { perm: [0, 2, 1, 3] }), joined], {}, node.outputs[0])
    return chain.nodes
  }

  /** Of rows [B, G, N], which is how group norms are written; scale 1 and bias 0. */
  #normalization(node: OnnxNode): readonly OnnxNode[] {
    const [rows = ''] = node.inputs
    const { epsilon } = node.attributes
    const value = typeof epsilon === 'object' && 'float' in epsilon ? epsilon.float : 1e-5
    const chain = new NodeChain(node, 'plain')
    const add = chain.add.bind(chain)
    const axis = this.#constant('last axis', int64([1], [2]))
    const small = this.#constant(`epsilon/${value}`, float32([], Float32Array.of(value)))
    const mean = (x: string) => add('ReduceMean', [x, axis], { keepdims: 1 })
    const centered = add('Sub', [rows, mean(rows)])
    const deviation = add('Sqrt', [add('Add', [mean(add('Mul', [centered, centered])), small])])
    add('Div', [centered, deviation], {}, node.outputs[0])
    return chain.nodes
  }

  #convolution(node: OnnxNode): readonly OnnxNode[] {
    const [x = '', weight = '', ...rest] = node.inputs
    const channels = this.#shapeOf(weight)[1] ?? 0
    if (channels <= 3 || channels % 3 !== 0 || channels % 4 === 0) return [node]
    const chain = new NodeChain(node, 'plain')
    const add = chain.add.bind(chain)
    const missing = 4 - (channels % 4)
    const pads = this.#constant(`channels/${missing}`, int64([8], [0, 0, 0, 0, 0, missing, 0, 0]))
    const inputs = [add('Pad', [x, pads]), add('Pad', [weight, pads]), ...rest]
    return [...chain.nodes, { ...node, inputs }]
  }

  #constant(name: string, { dtype, shape, data }: Tensor): string {
    const own = `webgpu/${name}`
    this.constants.set(own, { name: own, dtype, shape, data: bytesOf(data) })
    return own
  }
}
