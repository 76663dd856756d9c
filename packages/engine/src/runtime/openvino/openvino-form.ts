import { filterMemory } from '../../checkpoint/blocked-filter.ts'
import type { OnnxModel } from '../../formats/onnx.ts'
import type { Graph } from '../../graph/graph.ts'
import { BYTES_PER_ELEMENT, elementCount } from '../../tensor/tensor.ts'
import type { OpenVinoConvolutions } from '../fast-form.ts'
import { foldUpsampling } from '../folded-upsampling.ts'
import { channelNorms } from './channel-norms.ts'
import { unfoldConvolutions } from './unfolded-convolutions.ts'
import { winogradConvolutions } from './winograd-convolutions.ts'

export interface OpenVinoForm {
  readonly model: OnnxModel
  /** Bytes of filters in float32 that are made when the model is compiled, and of those that they stand for. */
  readonly filters: { readonly madeBytes: number; readonly replacedBytes: number }
}

/**
 * A graph's model as OpenVINO computes it fastest.
 * @param model that the graph wrote
 */
export function openVinoForm(graph: Graph, model: OnnxModel, convolutions: OpenVinoConvolutions): OpenVinoForm {
  const shapeOf = (value: string) => graph.shapeOf(value)
  const storedShape = (key: string) => graph.weights.get(key)?.shape
  const folded = foldUpsampling(
    unfoldConvolutions(channelNorms(model, graph.groupNorms, shapeOf), shapeOf),
    shapeOf,
    (key) => {
      const shape = storedShape(key)
      return shape && { shape, memory: filterMemory(shape, undefined) }
    },
  )
  const winograd =
    convolutions === 'winograd'
      ? winogradConvolutions(folded.model, shapeOf, storedShape)
      : { model: folded.model, made: new Map<string, number>() }
  const replaced = new Set([...[...folded.made.values()].map(({ from }) => from), ...winograd.made.keys()])
  const bytes = (counts: readonly number[]) => BYTES_PER_ELEMENT.float32 * counts.reduce((sum, count) => sum + count, 0)
  return {
    model: winograd.model,
    filters: {
      madeBytes: bytes([
        ...[...folded.made.values()].map(({ shape }) => elementCount(shape)),
        ...winograd.made.values(),
      ]),
      replacedBytes: bytes([...replaced].map((name) => elementCount(graph.shapeOf(name)))),
    },
  }
}
