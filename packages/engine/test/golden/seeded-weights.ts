import type { Graph } from '../../src/graph/graph.ts'
import type { TorchGenerator } from '../../src/random/torch-generator.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../../src/tensor/tensor.ts'

/**
 * The weights that torch gives the layers of freshly constructed modules, when constructed in the order of `keys`:
 * convolutions and linear layers draw weight and bias uniformly from ±1/√(inputs of one output), norms are ones and zeros.
 */
export function seededWeights(
  graphs: readonly Graph[],
  keys: readonly string[],
  generator: TorchGenerator,
): Record<string, FloatTensor> {
  const shapes = new Map(graphs.flatMap((graph) => [...graph.weights].map(([key, { shape }]) => [key, shape] as const)))
  const shapeOf = (key: string): Shape => shapes.get(key) ?? []
  return Object.fromEntries(
    keys.map((key) => {
      const shape = shapeOf(key)
      const values = float32(shape)
      if (/norm\w*\.(weight|bias)$/.test(key)) return [key, fill(values, key.endsWith('weight') ? 1 : 0)]
      const [, ...inputs] = shapeOf(key.replace(/bias$/, 'weight'))
      return [key, uniform(generator, shape, 1 / Math.sqrt(elementCount(inputs)))]
    }),
  )
}

function fill(tensor: FloatTensor, value: number): FloatTensor {
  tensor.data.fill(value)
  return tensor
}

/** `torch.empty(shape).uniform_(-bound, bound)`. */
function uniform(generator: TorchGenerator, shape: Shape, bound: number): FloatTensor {
  const [from, range] = [Math.fround(-bound), Math.fround(2 * bound)]
  const values = generator.rand(shape)
  values.data.forEach((value, i) => {
    values.data[i] = value * range + from
  })
  return values
}

/** Keys in the order of `prefixes`; within one prefix they keep their order. */
export function orderByPrefix(keys: Iterable<string>, prefixes: readonly string[]): string[] {
  const rank = (key: string) => prefixes.findIndex((prefix) => key.startsWith(prefix))
  return [...keys].sort((a, b) => rank(a) - rank(b))
}
