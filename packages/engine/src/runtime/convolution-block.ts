import { blockFilter } from '../checkpoint/blocked-filter.ts'
import { encodeModel } from '../formats/onnx.ts'
import { Graph } from '../graph/graph.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import { blockConvolutions } from './blocked-convolutions.ts'

/** Widths of vector registers in floats: AVX-512, AVX2, NEON. */
const CANDIDATES = [16, 8, 4]

const FILTER: Shape = [32, 32, 3, 3]

/**
 * Finds the block size of onnxruntime's convolution kernels on this CPU by trying: it is not in their interface. The inputs are
 * small integers, so every sum is exact and only the right size gives the right result.
 * @param run loads a model and runs it once on `x`, giving `y`
 * @returns undefined where the kernels have no blocked form
 */
export async function findConvolutionBlock(
  run: (model: Uint8Array, graph: Graph, x: FloatTensor) => Promise<FloatTensor>,
): Promise<number | undefined> {
  const x = smallIntegers([1, 32, 6, 6], 7)
  const filter = smallIntegers(FILTER, 11)
  const { graph: plain } = convolution(filter)
  const expected = await run(encodeModel(plain.model(noWeights)), plain, x)
  for (const block of CANDIDATES) {
    const { graph, weight } = convolution(float32(FILTER, blockFilter(filter.data, FILTER, block)))
    const model = blockConvolutions(graph.model(noWeights), block, new Map([[weight, FILTER]]))
    const found = await run(encodeModel(model), graph, x).catch(() => undefined)
    if (found?.data.every((value, i) => value === expected.data[i])) return block
  }
  return undefined
}

function convolution(filter: FloatTensor): { graph: Graph; weight: string } {
  const graph = new Graph('convolution probe')
  const x = graph.input('x', 'float32', [1, 32, 6, 6])
  const weight = graph.constant(filter)
  const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] }
  graph.output('y', graph.node('', { opType: 'Conv', inputs: [x, weight], output: x, attributes }))
  return { graph, weight: weight.name }
}

function smallIntegers(shape: Shape, modulus: number): FloatTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => ((i * 37) % modulus) - 3),
  )
}

function noWeights(key: string): never {
  throw new Error(`the probe has no weight ${key}`)
}
