import { filterMemory } from '../../checkpoint/blocked-filter.ts'
import type { OnnxModel } from '../../formats/onnx.ts'
import type { Graph } from '../../graph/graph.ts'
import { BYTES_PER_ELEMENT, elementCount } from '../../tensor/tensor.ts'
import type { OpenVinoArithmetic } from '../fast-form.ts'
import { foldUpsampling } from '../folded-upsampling.ts'
import { quantizableLinears } from '../quantized-linears.ts'
import { channelNorms } from './channel-norms.ts'
import { int8Linears } from './int8-linears.ts'
import { type SplitLinears, splitLinears } from './split-linears.ts'
import { unfoldConvolutions } from './unfolded-convolutions.ts'
import { winogradConvolutions } from './winograd-convolutions.ts'

export interface OpenVinoForm {
  readonly model: OnnxModel
  readonly weights: MadeWeights
}

/** Bytes of weights that are made when the model is compiled, and of those that they stand for. */
export interface MadeWeights {
  /** In float32; OpenVINO packs them in the precision it computes in. */
  readonly floatBytes: number
  readonly int8Bytes: number
  /** In float32. */
  readonly replacedBytes: number
}

/**
 * A graph's model as OpenVINO computes it fastest.
 * @param model that the graph wrote
 */
export function openVinoForm(
  graph: Graph,
  model: OnnxModel,
  { convolutions, linears }: Pick<OpenVinoArithmetic, 'convolutions' | 'linears'>,
): OpenVinoForm {
  const shapeOf = (value: string) => graph.shapeOf(value)
  const split = splitLinears(unfoldConvolutions(channelNorms(model, graph.groupNorms, shapeOf), shapeOf), shapeOf)
  const storedShape = (name: string) => split.parts.get(name)?.shape ?? graph.weights.get(name)?.shape
  const folded = foldUpsampling(split.model, shapeOf, (key) => {
    const shape = storedShape(key)
    return shape && { shape, memory: filterMemory(shape, undefined) }
  })
  const winograd =
    convolutions === 'winograd'
      ? winogradConvolutions(folded.model, shapeOf, storedShape)
      : { model: folded.model, made: new Map<string, number>() }
  const compressed =
    linears === 'int8'
      ? int8Linears(winograd.model, storedShape, quantizable(graph, split))
      : { model: winograd.model, made: new Map<string, number>() }
  const foldedFilters = [...folded.made.values()]
  const replaced = new Set([
    ...foldedFilters.map(({ from }) => from),
    ...winograd.made.keys(),
    ...compressed.made.keys(),
  ])
  const floatBytes = (counts: readonly number[]) => BYTES_PER_ELEMENT.float32 * total(counts)
  return {
    model: compressed.model,
    weights: {
      floatBytes: floatBytes([...foldedFilters.map(({ shape }) => elementCount(shape)), ...winograd.made.values()]),
      int8Bytes: total([...compressed.made.values()]),
      replacedBytes: floatBytes([...replaced].map((name) => elementCount(storedShape(name) ?? []))),
    },
  }
}

/** Tells weights that bear 8 bits, and parts of such. */
function quantizable(graph: Graph, { parts }: SplitLinears): (name: string) => boolean {
  const keys = quantizableLinears(graph)
  return (name) => keys.has(parts.get(name)?.from ?? name)
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
