import type { OnnxInitializer, OnnxModel, OnnxNode } from '../formats/onnx.ts'
import type { Graph } from '../graph/graph.ts'
import { bytesOf, int64, type Shape } from '../tensor/tensor.ts'

/**
 * Layers whose input is not a picture's but the time's: one row, hence no time to save, and an error in them shifts every value of a map
 * (with them the picture is some 15 dB further off).
 */
const TIME_LAYERS = /(^|\.)(time_embedding|time_emb_proj|add_embedding|time_embedding_proj)\./

/** Maps with fewer channels are latents: no time to save, and all that comes after is made of them. */
const LEAST_CHANNELS = 64

/** Keys of the weights [out, in] of linear layers that bear 8 bits, and of convolutions [out, in, 1, 1], which are linear layers of each pixel. */
export function quantizableLinears(graph: Graph): ReadonlySet<string> {
  const { nodes } = graph.model(() => ({ location: '', offset: 0, length: 0 }))
  const read = new Map<string, number>()
  for (const name of nodes.flatMap(({ inputs }) => inputs)) read.set(name, (read.get(name) ?? 0) + 1)
  const isWide = (key: string) => (graph.weights.get(key)?.shape[1] ?? 0) >= LEAST_CHANNELS
  const linears = nodes.flatMap((node) => {
    const key = node.inputs[1] ?? ''
    return isLinear(node) || (isPixelwise(node) && isWide(key)) ? [key] : []
  })
  return new Set(linears.filter((key) => graph.weights.has(key) && read.get(key) === 1 && !TIME_LAYERS.test(key)))
}

function isLinear({ opType, attributes }: OnnxNode): boolean {
  return opType === 'Gemm' && attributes.transB === 1
}

function isPixelwise({ opType, attributes }: OnnxNode): boolean {
  const { kernel_shape: kernel, strides } = attributes
  return opType === 'Conv' && String(kernel) === '1,1' && String(strides) === '1,1'
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
 * @param shapeOf shape of a value that a node makes
 * @param quantized the parts of the initializer of this name; undefined where it stays as it is
 */
export function quantizeLinears(
  model: OnnxModel,
  shapeOf: (name: string) => Shape,
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
  const flatMap = int64Initializer('quantized/flat-map', [0, 0, -1])
  const mapShapes = new Map<string, OnnxInitializer>()
  const nodes = model.nodes.flatMap((node): OnnxNode[] => {
    if (!node.inputs.some((name) => shapes.has(name))) return [node]
    const [x = '', weight = '', bias] = node.inputs
    const [output = ''] = node.outputs
    if (!shapes.has(weight)) throw new Error(`${node.name} reads weights that are stored for linear layers only`)
    if (isLinear(node)) return [{ ...node, ...product(x, weight, bias) }]
    if (!isPixelwise(node))
      throw new Error(`${node.name} (${node.opType}) reads weights that are stored for linear layers only`)
    const shape = int64Initializer(`quantized/shape/${shapeOf(output)}`, shapeOf(output))
    mapShapes.set(shape.name, shape)
    return pixelwiseProduct(node, { flat: flatMap.name, shape: shape.name })
  })
  const shapesOfMaps = mapShapes.size > 0 ? [flatMap, ...mapShapes.values()] : []
  return { ...model, initializers: [...initializers, ...shapesOfMaps], nodes }
}

function product(x: string, weight: string, bias: string | undefined): Omit<OnnxNode, 'name' | 'outputs'> {
  return {
    opType: 'DynamicQuantizeMatMul',
    domain: 'com.microsoft',
    inputs: [x, weight, scalesOf(weight), ...(bias === undefined ? [] : ['', bias])],
    attributes: {},
  }
}

/** The product over the pixels of a map, which are rows of channels then. @param names of the shapes [0, 0, −1] and of the result */
function pixelwiseProduct(node: OnnxNode, names: { readonly flat: string; readonly shape: string }): OnnxNode[] {
  const [x = '', weight = '', bias] = node.inputs
  const nodes: OnnxNode[] = []
  const add = (part: Omit<OnnxNode, 'name' | 'outputs'>, output = `${node.name}/pixels/${nodes.length}`): string => {
    nodes.push({ ...part, name: output, outputs: [output] })
    return output
  }
  const standard = (opType: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}) => ({
    opType,
    domain: '',
    inputs,
    attributes,
  })
  const pixels = add(standard('Transpose', [add(standard('Reshape', [x, names.flat]))], { perm: [0, 2, 1] }))
  const made = add(standard('Transpose', [add(product(pixels, weight, bias))], { perm: [0, 2, 1] }))
  add(standard('Reshape', [made, names.shape]), node.outputs[0])
  return nodes
}

function int64Initializer(name: string, values: readonly number[]): OnnxInitializer {
  const { dtype, shape, data } = int64([values.length], values)
  return { name, dtype, shape, data: bytesOf(data) }
}

const scalesOf = (name: string) => `${name}:scale`
