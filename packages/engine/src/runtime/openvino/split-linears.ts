import type { OnnxInitializer, OnnxModel, OnnxNode } from '../../formats/onnx.ts'
import type { Shape } from '../../tensor/tensor.ts'
import { NodeChain } from '../node-chain.ts'

export interface SplitLinears {
  readonly model: OnnxModel
  readonly parts: ReadonlyMap<string, TensorPart>
}

/** Some of a stored tensor's rows. */
export interface TensorPart {
  /** The tensor's name. */
  readonly from: string
  readonly firstRow: number
  readonly shape: Shape
}

/** A linear layer whose features are cut into equal parts, and the nodes that cut them. */
interface Cut {
  readonly linear: OnnxNode
  readonly reshape: OnnxNode
  readonly split: OnnxNode
}

/**
 * Writes a linear layer whose features are cut into parts (the gate of a GEGLU) as one layer for each part: OpenVINO's Split copies its input on one
 * thread. The parts of a weight [out, in] are rows of it, so they are read from where they lie.
 * @param shapeOf shape of a value that a node makes, or of a stored tensor
 */
export function splitLinears(model: OnnxModel, shapeOf: (name: string) => Shape): SplitLinears {
  const stored = new Map(model.initializers.map((each) => [each.name, each]))
  const cuts = cutsOf(model, new Set(stored.keys()), shapeOf)
  const parts = new Map<string, TensorPart>()
  if (cuts.size === 0) return { model, parts }
  const initializers = [...model.initializers]
  const gone = new Set<unknown>()
  const nodes = model.nodes.flatMap((node) => {
    const cut = cuts.get(node)
    if (cut === undefined) return [node]
    const { linear, reshape, split } = cut
    const [x = '', ...tensors] = linear.inputs
    const count = split.outputs.length
    const pieces = tensors.map((name) => piecesOf(stored.get(name) as OnnxInitializer, count))
    for (const [index, name] of tensors.entries()) {
      for (const [part, { name: own, shape }] of (pieces[index] ?? []).entries()) {
        parts.set(own, { from: name, firstRow: part * (shape[0] ?? 0), shape })
      }
    }
    for (const each of [reshape, split, ...tensors.map((name) => stored.get(name))]) gone.add(each)
    const chain = new NodeChain(linear, 'parts')
    for (const [part, output] of split.outputs.entries()) {
      const rows = chain.add('Gemm', [x, ...pieces.map((each) => each[part]?.name ?? '')], linear.attributes)
      chain.add('Reshape', [rows, chain.integers(shapeOf(output))], {}, output)
    }
    initializers.push(...pieces.flat(), ...chain.initializers)
    return chain.nodes
  })
  return {
    model: {
      ...model,
      nodes: nodes.filter((node) => !gone.has(node)),
      initializers: initializers.filter((each) => !gone.has(each)),
    },
    parts,
  }
}

/** By their linear layer. */
function cutsOf(
  { nodes }: OnnxModel,
  stored: ReadonlySet<string>,
  shapeOf: (name: string) => Shape,
): ReadonlyMap<OnnxNode, Cut> {
  const readers = new Map<string, OnnxNode[]>()
  for (const node of nodes) for (const name of node.inputs) readers.set(name, [...(readers.get(name) ?? []), node])
  const onlyReader = (name: string | undefined) => {
    const all = readers.get(name ?? '') ?? []
    return all.length === 1 ? all[0] : undefined
  }
  const cuts = new Map<OnnxNode, Cut>()
  for (const linear of nodes) {
    const isOwn = linear.inputs.slice(1).every((name) => stored.has(name) && onlyReader(name) === linear)
    if (linear.opType !== 'Gemm' || linear.attributes.transB !== 1 || !isOwn) continue
    const reshape = onlyReader(linear.outputs[0])
    const split = reshape?.opType === 'Reshape' ? onlyReader(reshape.outputs[0]) : undefined
    if (reshape === undefined || split?.opType !== 'Split') continue
    if (isOfFeatures(split, shapeOf)) cuts.set(linear, { linear, reshape, split })
  }
  return cuts
}

/** Whether the last axis is cut, into equal parts. */
function isOfFeatures({ inputs, outputs, attributes }: OnnxNode, shapeOf: (name: string) => Shape): boolean {
  const whole = shapeOf(inputs[0] ?? '')
  const isLast = attributes.axis === whole.length - 1 || attributes.axis === -1
  return isLast && outputs.every((name) => shapeOf(name).at(-1) === (whole.at(-1) ?? 0) / outputs.length)
}

/** A tensor's equal parts along its first axis. */
function piecesOf({ name, dtype, shape, data }: OnnxInitializer, count: number): OnnxInitializer[] {
  const own = [(shape[0] ?? 0) / count, ...shape.slice(1)]
  const length = data.length / count
  return Array.from({ length: count }, (_, index) => ({
    name: `${name}:${index}`,
    dtype,
    shape: own,
    data:
      data instanceof Uint8Array
        ? data.subarray(index * length, (index + 1) * length)
        : { ...data, offset: data.offset + index * length, length },
  }))
}
