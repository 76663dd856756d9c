import type { OnnxInitializer, OnnxModel } from '../../formats/onnx.ts'
import type { Shape } from '../../tensor/tensor.ts'
import { elementCount } from '../../tensor/tensor.ts'
import { NodeChain } from '../node-chain.ts'

export interface Int8Linears {
  readonly model: OnnxModel
  /** Bytes that weights take in 8 bits, with their scales, by the name of the weight that they were made of. */
  readonly made: ReadonlyMap<string, number>
}

/** The least scale, of a row of zeros. */
const LEAST_SCALE = 1e-30

/**
 * Writes the weights of linear layers as integers of 8 bits times one scale for each output, made when the model is compiled, as `quantizeMatrix` makes them.
 * OpenVINO keeps them so, and with a group size for dynamic quantisation it brings activations to 8 bits as they come, each with a
 * scale for every so many values of a row, and multiplies integers.
 * @param storedShape shape of a stored weight; undefined for what is none
 * @param bears8Bits tells weights [out, in] that are to be written so (`quantizableLinears`)
 */
export function int8Linears(
  model: OnnxModel,
  storedShape: (name: string) => Shape | undefined,
  bears8Bits: (name: string) => boolean,
): Int8Linears {
  const made = new Map<string, number>()
  const initializers: OnnxInitializer[] = []
  const nodes = model.nodes.flatMap((node) => {
    const [x = '', weight = '', ...bias] = node.inputs
    const shape = storedShape(weight)
    if (node.opType !== 'Gemm' || shape === undefined || !bears8Bits(weight)) return [node]
    const chain = new NodeChain(node, 'int8')
    const inputs = [x, quantized(chain, weight), ...bias]
    initializers.push(...chain.initializers)
    made.set(weight, elementCount(shape) + 4 * (shape[0] ?? 0))
    return [...chain.nodes, { ...node, inputs }]
  })
  if (made.size === 0) return { model, made }
  return { model: { ...model, nodes, initializers: [...model.initializers, ...initializers] }, made }
}

/** [out, in], integers times scales. */
function quantized(chain: NodeChain, weight: string): string {
  const largest = chain.add('ReduceMax', [chain.add('Abs', [weight]), chain.integers([1])], { keepdims: 1 })
  const scale = chain.add('Max', [chain.add('Div', [largest, chain.scalar(127)]), chain.scalar(LEAST_SCALE)])
  const rounded = chain.add('Round', [chain.add('Div', [weight, scale])])
  const integers = chain.add('Cast', [rounded], { to: 3 })
  return chain.add('Mul', [chain.add('Cast', [integers], { to: 1 }), scale])
}
