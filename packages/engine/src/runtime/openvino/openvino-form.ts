import { filterMemory } from '../../checkpoint/blocked-filter.ts'
import type { ExternalData, OnnxModel } from '../../formats/onnx.ts'
import type { Graph } from '../../graph/graph.ts'
import { BYTES_PER_ELEMENT, elementCount } from '../../tensor/tensor.ts'
import type { OpenVinoConvolutions } from '../fast-form.ts'
import { foldUpsampling } from '../folded-upsampling.ts'
import { channelNorms } from './channel-norms.ts'
import { int8Linears } from './int8-linears.ts'
import { splitLinears } from './split-linears.ts'
import { unfoldConvolutions } from './unfolded-convolutions.ts'
import { winogradConvolutions } from './winograd-convolutions.ts'

export interface OpenVinoFormOptions {
  readonly convolutions: OpenVinoConvolutions
  /** Where the scales lie of a weight that is stored in 8 bits, [out, in]; undefined for any other. Default: none is. */
  readonly scalesOf?: (key: string) => ExternalData | undefined
}

export interface OpenVinoForm {
  readonly model: OnnxModel
  /** Bytes of filters in float32 that are made when the model is compiled, and of those that they stand for. */
  readonly filters: { readonly madeBytes: number; readonly replacedBytes: number }
}

/**
 * A graph's model as OpenVINO computes it fastest.
 * @param model that the graph wrote
 */
export function openVinoForm(
  graph: Graph,
  model: OnnxModel,
  { convolutions, scalesOf = () => undefined }: OpenVinoFormOptions,
): OpenVinoForm {
  const shapeOf = (value: string) => graph.shapeOf(value)
  const storedShape = (key: string) => graph.weights.get(key)?.shape
  const { model: split, parts } = splitLinears(
    unfoldConvolutions(channelNorms(model, graph.groupNorms, shapeOf), shapeOf),
    shapeOf,
  )
  const linears = int8Linears(split, (name) => {
    const part = parts.get(name)
    const whole = scalesOf(part?.from ?? name)
    if (whole === undefined || part === undefined) return whole
    const { firstRow, shape } = part
    const [offset, length] = [firstRow, shape[0] ?? 0].map((rows) => rows * BYTES_PER_ELEMENT.float32) as [
      number,
      number,
    ]
    return { ...whole, offset: whole.offset + offset, length }
  })
  const folded = foldUpsampling(linears, shapeOf, (key) => {
    const shape = storedShape(key)
    return shape && { shape, memory: filterMemory(shape, undefined) }
  })
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
