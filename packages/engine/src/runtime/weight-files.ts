import { parse } from 'node:path'
import type { WeightLocation, Weights } from '../checkpoint/prepared-weights.ts'
import { type ExternalData, encodeModel } from '../formats/onnx.ts'
import type { Graph } from '../graph/graph.ts'
import { blockConvolutions } from './blocked-convolutions.ts'
import { quantizeLinears } from './quantized-linears.ts'
import type { ExecutionProvider } from './session.ts'
import { webGpuForm } from './webgpu-form.ts'

/** A model whose weights are external data below `folder`. */
export interface SerializedModel {
  /** The model, or the path of a ready-made model's file. */
  readonly model: Uint8Array | string
  /** What the model's file locations are relative to; absent for a file, whose own folder it is. */
  readonly folder?: string
}

/**
 * Serialises a graph with its weights where they lie. onnxruntime refuses locations that are absolute or lead out of the model's
 * folder once symlinks are resolved; with the file system's root as that folder, every file is inside.
 * @throws Error when the files lie on different drives (Windows)
 */
export function serializeInPlace(
  graph: Graph,
  weights: Weights,
  executionProvider: ExecutionProvider = 'cpu',
): SerializedModel {
  let folder: string | undefined
  const relative = ({ path, offset, length }: WeightLocation): ExternalData => {
    const { root } = parse(path)
    folder ??= root
    if (root !== folder) {
      throw new Error(
        `the weights of ${weights.name} are spread over ${folder} and ${root}; put the cache folder on the checkpoint's drive`,
      )
    }
    return { location: path.slice(root.length).replaceAll('\\', '/'), offset, length }
  }
  const model = graph.model((key) =>
    relative(weights.locateBlocked(key) ?? weights.locateQuantized(key)?.values ?? weights.locate(key)),
  )
  const quantized = quantizeLinears(model, (name) => {
    const place = graph.weights.has(name) ? weights.locateQuantized(name) : undefined
    return place && { values: relative(place.values), scales: relative(place.scales) }
  })
  const { convolutionBlock } = weights
  const isBlocked = (name: string) => graph.weights.has(name) && weights.locateBlocked(name) !== undefined
  const blocked = convolutionBlock === undefined ? quantized : blockConvolutions(quantized, convolutionBlock, isBlocked)
  const own = executionProvider === 'webgpu' ? webGpuForm(blocked, (name) => graph.shapeOf(name)) : blocked
  return { model: encodeModel(own), folder: folder ?? parse(process.cwd()).root }
}
