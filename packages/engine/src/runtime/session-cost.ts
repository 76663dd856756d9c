import { filterMemory } from '../checkpoint/blocked-filter.ts'
import type { ExternalData, OnnxNode } from '../formats/onnx.ts'
import type { OnnxFile } from '../formats/onnx-file.ts'
import type { Graph, Value } from '../graph/graph.ts'
import { BYTES_PER_ELEMENT, type DType, DYNAMIC, elementCount, type Shape } from '../tensor/tensor.ts'
import type { OpenVinoArithmetic } from './fast-form.ts'
import { foldUpsampling } from './folded-upsampling.ts'
import { int8Keys } from './openvino/int8-linears.ts'
import { openVinoForm } from './openvino/openvino-form.ts'

/** Bytes of memory that a session takes. */
export interface SessionCost {
  /** Mapped from files, and shared with other sessions of the same weights. */
  readonly weightBytes: number
  /** The session's own: activations at their peak. */
  readonly workBytes: number
}

/** Operators whose result is their input under another shape. */
const ALIASES = new Set(['Reshape', 'Identity'])

const NOWHERE: ExternalData = { location: '', offset: 0, length: 0 }

export interface CostOptions {
  /** Whether convolutions of doubled maps are folded (`foldUpsampling`): their filters are made when the session is, in its own memory. Default false. */
  readonly foldsUpsampling?: boolean
}

/**
 * What a graph's session will take, before it is loaded. Activations are counted live from the node that makes them to the last one
 * that reads them, in the order the nodes were built in. The allocator's slack is on top, fitted to measurements with onnxruntime
 * 1.30: SD1.5's UNet at 512×512 has 0.10 GB live and takes 0.31 GB, its VAE decoder 1.07 GB and 1.37 GB.
 */
export function estimateCost(graph: Graph, { foldsUpsampling = false }: CostOptions = {}): SessionCost {
  const live = peakActivationBytes(graph)
  const filters = foldsUpsampling ? foldedFilterBytes(graph) : 0
  return {
    weightBytes: weightBytesOf(graph),
    workBytes: Math.ceil(1.3 * live + Math.min(2 * live, 256e6)) + filters,
  }
}

function weightBytesOf({ weights }: Graph, keys: Iterable<string> = weights.keys()): number {
  return [...keys].reduce((sum, key) => sum + bytesOf(weights.get(key) as Value), 0)
}

/** Four filters of 2×2 in place of one of 3×3: 235 MB in place of 132 in SD1.5's UNet. */
function foldedFilterBytes(graph: Graph): number {
  const { made } = foldUpsampling(
    graph.model(() => NOWHERE),
    (name) => graph.shapeOf(name),
    (name) => {
      const shape = graph.weights.get(name)?.shape
      return shape && { shape, memory: filterMemory(shape, undefined) }
    },
  )
  return [...made.values()].reduce((total, { shape }) => total + bytesOf({ dtype: 'float32', shape }), 0)
}

/**
 * The same in OpenVINO, which maps the weights while it loads and keeps a packed copy of its own in the precision it computes in: SD1.5's
 * UNet at 512×512 takes 1.88 GB of its own in bfloat16 beside 3.44 GB of mapped files, which the system drops when it needs the room.
 */
export function estimateOpenVinoCost(
  graph: Graph,
  { precision, convolutions, linears }: OpenVinoArithmetic,
): SessionCost {
  const { weightBytes, workBytes } = estimateCost(graph)
  const { filters } = openVinoForm(
    graph,
    graph.model(() => NOWHERE),
    { convolutions },
  )
  const int8Bytes = linears === 'int8' ? weightBytesOf(graph, int8Keys(graph)) / BYTES_PER_ELEMENT.float32 : 0
  const floatBytes = weightBytes - filters.replacedBytes + filters.madeBytes - BYTES_PER_ELEMENT.float32 * int8Bytes
  const packed = (precision === 'bf16' ? 0.5 : 1) * floatBytes + int8Bytes
  return { weightBytes: 0, workBytes: Math.ceil(packed + workBytes) }
}

/** The same in float16; single norms, which stay in float32, are within the slack. */
export function estimateFloat16Cost(graph: Graph): SessionCost {
  const { weightBytes, workBytes } = estimateCost(graph)
  return { weightBytes: Math.ceil(weightBytes / 2), workBytes: Math.ceil(workBytes / 2) }
}

/**
 * What a ready-made model's session will take. Sizes of its activations are not in the file, so an allowance stands for them: detectors
 * ship as such files, and what they take is little beside what draws.
 */
export function estimateFileCost({ size }: OnnxFile): SessionCost {
  return { weightBytes: size, workBytes: Math.min(256e6, 32e6 + 4 * size) }
}

function bytesOf({ dtype, shape }: { readonly dtype: DType; readonly shape: Shape }): number {
  return elementCount(shape) * BYTES_PER_ELEMENT[dtype]
}

function peakActivationBytes(graph: Graph): number {
  const { nodes } = graph.model(() => NOWHERE)
  const owner = ownersOf(nodes)
  const lastUse = new Map<string, number>()
  for (const [index, { inputs }] of nodes.entries()) {
    for (const name of inputs) lastUse.set(owner.get(name) ?? name, index)
  }
  let [live, peak] = [0, 0]
  for (const [index, node] of nodes.entries()) {
    const made = node.outputs.filter((name) => !owner.has(name))
    for (const name of made) live += resultBytes(graph, name)
    peak = Math.max(peak, live + blockedCopies(graph, node))
    const read = new Set(node.inputs.map((name) => owner.get(name) ?? name))
    for (const name of [...read, ...made]) {
      if ((lastUse.get(name) ?? index) === index) live -= resultBytes(graph, name)
    }
  }
  return peak
}

/** Aliases, each with the value whose memory it is. */
function ownersOf(nodes: readonly OnnxNode[]): Map<string, string> {
  const owner = new Map<string, string>()
  for (const { opType, inputs, outputs } of nodes) {
    const [input, output] = [inputs[0], outputs[0]]
    if (ALIASES.has(opType) && input !== undefined && output !== undefined) owner.set(output, owner.get(input) ?? input)
  }
  return owner
}

/** Convolutions read and write their maps in a blocked order: a copy of each. */
function blockedCopies(graph: Graph, { opType, inputs, outputs }: OnnxNode): number {
  if (opType !== 'Conv') return 0
  return resultBytes(graph, inputs[0] ?? '') + resultBytes(graph, outputs[0] ?? '')
}

/** 0 for inputs and constants, which are not the session's, and for what has a dynamic dimension (the rank of a LoRA: little). */
function resultBytes(graph: Graph, name: string): number {
  const value = graph.results.get(name)
  return value && !value.shape.includes(DYNAMIC) ? bytesOf(value) : 0
}
