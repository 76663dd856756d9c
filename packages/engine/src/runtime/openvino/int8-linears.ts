import type { OnnxInitializer, OnnxModel } from '../../formats/onnx.ts'
import type { Graph } from '../../graph/graph.ts'
import { elementCount, type Shape } from '../../tensor/tensor.ts'
import { NodeChain } from '../node-chain.ts'
import { quantizableLinears } from '../quantized-linears.ts'

/** Share of a network's weights below which linear layers are too few to be worth a file of their own: autoencoders have 0.02, UNets 0.4. */
const LEAST_SHARE = 0.1

/** ONNX's number for float32. */
const FLOAT32 = 1

/** Keys of the weights [out, in] that a graph's linear layers have in 8 bits in OpenVINO; none where that is not worth it. */
export function int8Keys(graph: Graph): ReadonlySet<string> {
  const shapes = [...quantizableLinears(graph)].flatMap((key): (readonly [string, Shape])[] => {
    const shape = graph.weights.get(key)?.shape
    return shape?.length === 2 ? [[key, shape]] : []
  })
  const total = (all: Iterable<Shape>) => [...all].reduce((sum, shape) => sum + elementCount(shape), 0)
  const share = total(shapes.map(([, shape]) => shape)) / total([...graph.weights.values()].map(({ shape }) => shape))
  return share < LEAST_SHARE ? new Set() : new Set(shapes.map(([key]) => key))
}

/**
 * Puts linear layers on weights of 8 bits, int8 [out, in], times one scale for each output. OpenVINO keeps them so, and with a group size for dynamic
 * quantisation it brings activations to 8 bits as they come, each with a scale for every so many values of a row, and multiplies integers.
 * @param scalesOf float32 [out] of a weight in 8 bits; undefined for any other initializer
 */
export function int8Linears(
  model: OnnxModel,
  scalesOf: (name: string) => OnnxInitializer['data'] | undefined,
): OnnxModel {
  const made: OnnxInitializer[] = []
  const quantized = new Set<string>()
  const initializers = model.initializers.map((each): OnnxInitializer => {
    const data = scalesOf(each.name)
    if (data === undefined) return each
    quantized.add(each.name)
    made.push({ name: scalesName(each.name), dtype: 'float32', shape: [each.shape[0] ?? 0, 1], data })
    return { ...each, dtype: 'int8' }
  })
  if (quantized.size === 0) return model
  const nodes = model.nodes.flatMap((node) => {
    const [x = '', weight = '', ...bias] = node.inputs
    if (!node.inputs.some((name) => quantized.has(name))) return [node]
    if (node.opType !== 'Gemm' || !quantized.has(weight))
      throw new Error(`${node.name} reads weights that are stored for linear layers only`)
    const chain = new NodeChain(node, 'int8')
    const floats = chain.add('Cast', [weight], { to: FLOAT32 })
    const inputs = [x, chain.add('Mul', [floats, scalesName(weight)]), ...bias]
    return [...chain.nodes, { ...node, inputs }]
  })
  return { ...model, nodes, initializers: [...initializers, ...made] }
}

const scalesName = (weight: string) => `${weight}:scale`
