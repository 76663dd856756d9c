import { parse } from 'node:path'
import { filterMemory } from '../checkpoint/blocked-filter.ts'
import type { WeightLocation, Weights } from '../checkpoint/prepared-weights.ts'
import { type ExternalData, encodeModel, type OnnxModel } from '../formats/onnx.ts'
import type { Graph } from '../graph/graph.ts'
import { blockConvolutions } from './blocked-convolutions.ts'
import { float16Form } from './float16-form.ts'
import { foldUpsampling } from './folded-upsampling.ts'
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

export interface SerializeOptions {
  /** Default `cpu`. */
  readonly executionProvider?: ExecutionProvider | undefined
  /** Whether convolutions of doubled maps are written as ones of the maps themselves (`foldUpsampling`). Default false. */
  readonly foldsUpsampling?: boolean
  /** Whether the model computes in float16 where it can (`float16Form`). Default false. */
  readonly float16?: boolean
}

/**
 * Serialises a graph with its weights where they lie. onnxruntime refuses locations that are absolute or lead out of the model's
 * folder once symlinks are resolved; with the file system's root as that folder, every file is inside.
 * @throws Error when the files lie on different drives (Windows)
 */
export function serializeInPlace(
  graph: Graph,
  weights: Weights,
  { executionProvider = 'cpu', foldsUpsampling = false, float16 = false }: SerializeOptions = {},
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
  const quantized = quantizeLinears(
    model,
    (name) => graph.shapeOf(name),
    (name) => {
      const place = graph.weights.has(name) ? weights.locateQuantized(name) : undefined
      return place && { values: relative(place.values), scales: relative(place.scales) }
    },
  )
  const blocked = blockedForm(quantized, graph, weights, foldsUpsampling)
  const own = executionProvider === 'webgpu' ? webGpuForm(blocked, (name) => graph.shapeOf(name)) : blocked
  const halved = float16 ? float16Form(asStored(own, weights, graph), graph.fitsFloat16 ? 'float16' : 'float32') : own
  return { model: encodeModel(halved), folder: folder ?? parse(process.cwd()).root }
}

/** The model with its weights in the types that they are stored in. */
function asStored(model: OnnxModel, weights: Weights, graph: Graph): OnnxModel {
  const initializers = model.initializers.map((each) =>
    graph.weights.has(each.name) ? { ...each, dtype: weights.locate(each.name).dtype } : each,
  )
  return { ...model, initializers }
}

/** The model with its blocked weights in convolutions that read them, those of doubled maps folded where that is wanted. */
function blockedForm(model: OnnxModel, graph: Graph, weights: Weights, foldsUpsampling: boolean): OnnxModel {
  const { convolutionBlock } = weights
  const shapes = new Map(
    [...graph.weights].flatMap(([key, { shape }]) => (weights.locateBlocked(key) ? [[key, shape]] : [])),
  )
  if (!foldsUpsampling)
    return convolutionBlock === undefined ? model : blockConvolutions(model, convolutionBlock, shapes)
  const folded = foldUpsampling(
    model,
    (name) => graph.shapeOf(name),
    (name) => {
      const shape = graph.weights.get(name)?.shape
      return shape && { shape, memory: filterMemory(shape, shapes.has(name) ? convolutionBlock : undefined) }
    },
  )
  for (const [name, { from, shape }] of folded.made) if (shapes.has(from)) shapes.set(name, shape)
  for (const { from } of folded.made.values()) shapes.delete(from)
  return convolutionBlock === undefined ? folded.model : blockConvolutions(folded.model, convolutionBlock, shapes)
}
