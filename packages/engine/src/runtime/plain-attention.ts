import type { OnnxInitializer, OnnxModel, OnnxNode } from '../formats/onnx.ts'
import { bytesOf, float32, int64, type Shape, type Tensor } from '../tensor/tensor.ts'

/**
 * Writes onnxruntime's fused attention as the products and the softmax that it stands for: its WebGPU kernel is 1e-2 off (1.30), these
 * are 5e-7 off.
 * @param shapeOf shape of a value that a node reads or makes
 */
export function plainAttention(model: OnnxModel, shapeOf: (name: string) => Shape): OnnxModel {
  const isFused = ({ opType, domain }: OnnxNode) => opType === 'MultiHeadAttention' && domain === 'com.microsoft'
  if (!model.nodes.some(isFused)) return model
  const constants = new Map<string, OnnxInitializer>()
  const nodes = model.nodes.flatMap((node) => (isFused(node) ? productsOf(node, shapeOf, constants) : [node]))
  return { ...model, nodes, initializers: [...model.initializers, ...constants.values()] }
}

/** softmax(q kᵀ / √d + bias) v, the heads as an axis of their own. */
function productsOf(
  node: OnnxNode,
  shapeOf: (name: string) => Shape,
  constants: Map<string, OnnxInitializer>,
): OnnxNode[] {
  const [query = '', key = '', value = '', , , bias] = node.inputs
  const [result = ''] = node.outputs
  const heads = Number(node.attributes.num_heads)
  const headSize = (shapeOf(query)[2] ?? 0) / heads
  const nodes: OnnxNode[] = []
  const add = (opType: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}, output?: string) => {
    const name = output ?? `${node.name}/plain/${nodes.length}`
    nodes.push({ name, opType, domain: '', inputs, outputs: [name], attributes })
    return name
  }
  // Zeros keep the sizes of batch and tokens, whatever they are.
  const split = constant(constants, `attention/heads/${heads}`, int64([4], [0, 0, heads, -1]))
  const join = constant(constants, 'attention/joined', int64([3], [0, 0, -1]))
  const scale = constant(
    constants,
    `attention/scale/${headSize}`,
    float32([], Float32Array.of(1 / Math.sqrt(headSize))),
  )
  const byHead = (x: string, perm: readonly number[]) => add('Transpose', [add('Reshape', [x, split])], { perm })
  const scaled = add('Mul', [byHead(query, [0, 2, 1, 3]), scale])
  const scores = add('MatMul', [scaled, byHead(key, [0, 2, 3, 1])])
  const weights = add('Softmax', [bias ? add('Add', [scores, bias]) : scores], { axis: -1 })
  const attended = add('MatMul', [weights, byHead(value, [0, 2, 1, 3])])
  add('Reshape', [add('Transpose', [attended], { perm: [0, 2, 1, 3] }), join], {}, result)
  return nodes
}

function constant(constants: Map<string, OnnxInitializer>, name: string, { dtype, shape, data }: Tensor): string {
  constants.set(name, { name, dtype, shape, data: bytesOf(data) })
  return name
}
