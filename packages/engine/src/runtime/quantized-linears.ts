import type { OnnxInitializer, OnnxModel, OnnxNode } from '../formats/onnx.ts'
import type { Graph } from '../graph/graph.ts'
import type { Shape } from '../tensor/tensor.ts'

/**
 * Layers whose input is not a picture's but the time's: one row, hence no time to save, and an error in them shifts every value of a map
 * (with them the picture is some 15 dB further off).
 */
const TIME_LAYERS = /(^|\.)(time_embedding|time_emb_proj|add_embedding|time_embedding_proj)\./

/** Keys of the weights [out, in] of linear layers that bear 8 bits. */
export function quantizableLinears(graph: Graph): ReadonlySet<string> {
  const { nodes } = graph.model(() => ({ location: '', offset: 0, length: 0 }))
  const read = new Map<string, number>()
  for (const name of nodes.flatMap(({ inputs }) => inputs)) read.set(name, (read.get(name) ?? 0) + 1)
  const linears = nodes.filter(isLinear).flatMap(({ inputs }) => inputs[1] ?? [])
  return new Set(linears.filter((key) => graph.weights.has(key) && read.get(key) === 1 && !TIME_LAYERS.test(key)))
}

function isLinear({ opType, attributes }: OnnxNode): boolean {
  return opType === 'Gemm' && attributes.transB === 1
}

/** Where the two parts of a quantised weight come from. */
export interface QuantizedInitializers {
  /** int8 [in, out] */
  readonly values: OnnxInitializer['data']
  /** float32 [out] */
  readonly scales: OnnxInitializer['data']
}

/**
 * Puts linear layers on quantised weights: x [rows, in] is quantised to unsigned 8 bits over its own range at each run, multiplied in
 * integers and scaled back in one kernel (com.microsoft DynamicQuantizeMatMul; unsigned times signed is what AMX and VNNI are used for).
 * @param quantized the parts of the initializer of this name; undefined where it stays as it is
 */
export function quantizeLinears(
  model: OnnxModel,
  quantized: (name: string) => QuantizedInitializers | undefined,
): OnnxModel {
  const shapes = new Map<string, Shape>()
  const initializers = model.initializers.flatMap((initializer): OnnxInitializer[] => {
    const { name, shape } = initializer
    const parts = quantized(name)
    if (!parts) return [initializer]
    shapes.set(name, shape)
    const [out = 0, inputs = 0] = shape
    return [
      { name, dtype: 'int8', shape: [inputs, out], data: parts.values },
      { name: scalesOf(name), dtype: 'float32', shape: [out], data: parts.scales },
    ]
  })
  if (shapes.size === 0) return model
  const nodes = model.nodes.map((node): OnnxNode => {
    if (!node.inputs.some((name) => shapes.has(name))) return node
    const [x = '', weight = '', bias] = node.inputs
    if (!isLinear(node) || !shapes.has(weight)) {
      throw new Error(`${node.name} (${node.opType}) reads weights that are stored for linear layers only`)
    }
    return {
      ...node,
      opType: 'DynamicQuantizeMatMul',
      domain: 'com.microsoft',
      inputs: [x, weight, scalesOf(weight), ...(bias === undefined ? [] : ['', bias])],
      attributes: {},
    }
  })
  return { ...model, initializers, nodes }
}

const scalesOf = (name: string) => `${name}:scale`
