import { parse } from 'node:path'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { ExternalData } from '../formats/onnx.ts'
import type { Graph } from '../graph/graph.ts'

/** A model whose weights are external data below `folder`. */
export interface SerializedModel {
  readonly model: Uint8Array
  /** What the model's file locations are relative to. */
  readonly folder: string
}

/**
 * Serialises a graph with its weights where they lie. onnxruntime refuses locations that are absolute or lead out of the model's
 * folder once symlinks are resolved; with the file system's root as that folder, every file is inside.
 * @throws Error when the files lie on different drives (Windows)
 */
export function serializeInPlace(graph: Graph, weights: Weights): SerializedModel {
  let folder: string | undefined
  const model = graph.serialize((key): ExternalData => {
    const { path, offset, length } = weights.locate(key)
    const { root } = parse(path)
    folder ??= root
    if (root !== folder) {
      throw new Error(
        `the weights of ${weights.name} are spread over ${folder} and ${root}; put the cache folder on the checkpoint's drive`,
      )
    }
    return { location: path.slice(root.length).replaceAll('\\', '/'), offset, length }
  })
  return { model, folder: folder ?? parse(process.cwd()).root }
}
