import type { OnnxInitializer, OnnxModel, OnnxNode } from '../formats/onnx.ts'
import type { Shape } from '../tensor/tensor.ts'
import { NodeChain } from './node-chain.ts'

/** How filters lie in memory. */
export interface FilterLayout {
  /** The convolution's [O, I, 3, 3]. */
  readonly shape: Shape
  /** [n, 3, 3, m]: the same bytes with what is before and after the two axes of the filter as one axis each. */
  readonly memory: Shape
}

export interface FoldedUpsampling {
  readonly model: OnnxModel
  /** Of each filter that was made, the name of the one it was made of and its shape, [O, I, 2, 2]; its layout is the same. */
  readonly made: ReadonlyMap<string, { readonly from: string; readonly shape: Shape }>
}

/**
 * Writes a 3×3 convolution of a map that was doubled by repeating its values (nearest neighbour) as four 2×2 convolutions of the map itself, one for
 * each place of a pixel among the four that a value becomes: there, rows or columns of the filter meet the same value and can be added beforehand.
 * Four products for each result in place of nine. Sums are taken in another order, so results differ in the last digits of float32; the filters are
 * added when the session is made.
 * @param shapeOf shape of a value that a node reads or makes
 * @param layoutOf of a stored filter; undefined for what is no stored filter
 */
export function foldUpsampling(
  model: OnnxModel,
  shapeOf: (name: string) => Shape,
  layoutOf: (name: string) => FilterLayout | undefined,
): FoldedUpsampling {
  const readers = new Map<string, number>()
  for (const name of model.nodes.flatMap(({ inputs }) => inputs)) readers.set(name, (readers.get(name) ?? 0) + 1)
  const doublings = new Map(
    model.nodes.filter((node) => isDoubling(node, shapeOf)).map((node) => [node.outputs[0] ?? '', node]),
  )
  const made = new Map<string, { readonly from: string; readonly shape: Shape }>()
  const initializers: OnnxInitializer[] = []
  const folded = new Set<OnnxNode>()
  const nodes = model.nodes.flatMap((node) => {
    const [x = '', weight = ''] = node.inputs
    const doubling = isPlainConvolution(node) ? doublings.get(x) : undefined
    const layout = doubling && layoutOf(weight)
    const isOnlyReader = readers.get(x) === 1 && readers.get(weight) === 1
    if (doubling === undefined || layout === undefined || !isOnlyReader) return [node]
    folded.add(doubling)
    const folding = new Folding(node, doubling.inputs[0] ?? '', layout)
    folding.build()
    initializers.push(...folding.chain.initializers)
    for (const name of folding.filters) made.set(name, { from: weight, shape: [...layout.shape.slice(0, 2), 2, 2] })
    return folding.chain.nodes
  })
  if (folded.size === 0) return { model, made }
  return {
    model: {
      ...model,
      nodes: nodes.filter((node) => !folded.has(node)),
      initializers: [...model.initializers, ...initializers],
    },
    made,
  }
}

function isDoubling({ opType, inputs, outputs, attributes }: OnnxNode, shapeOf: (name: string) => Shape): boolean {
  if (opType !== 'Resize' || attributes.mode !== 'nearest' || attributes.nearest_mode !== 'floor') return false
  const [before, after] = [shapeOf(inputs[0] ?? ''), shapeOf(outputs[0] ?? '')]
  return before.length === 4 && after[2] === 2 * (before[2] ?? 0) && after[3] === 2 * (before[3] ?? 0)
}

function isPlainConvolution({ opType, attributes }: OnnxNode): boolean {
  const { kernel_shape: kernel, strides, pads } = attributes
  return opType === 'Conv' && String(kernel) === '3,3' && String(strides) === '1,1' && String(pads) === '1,1,1,1'
}

/** The nodes in place of one convolution. */
class Folding {
  readonly chain: NodeChain
  readonly filters: string[] = []
  readonly #node: OnnxNode
  readonly #x: string
  readonly #layout: FilterLayout

  /** @param x the map before it is doubled */
  constructor(node: OnnxNode, x: string, layout: FilterLayout) {
    this.chain = new NodeChain(node, 'folded')
    this.#node = node
    this.#x = x
    this.#layout = layout
  }

  build(): void {
    const [, weight = '', ...bias] = this.#node.inputs
    const { shape, memory } = this.#layout
    const [outChannels = 0, inChannels = 0] = shape
    const filter = this.chain.add('Reshape', [weight, this.chain.integers(memory)])
    const own = this.chain.integers([outChannels, inChannels, 2, 2])
    const phases: string[] = []
    for (const [row, rows] of this.#halves(filter, 1).entries()) {
      for (const [column, both] of this.#halves(rows, 2).entries()) {
        const phase = this.chain.add('Reshape', [both, own])
        this.filters.push(phase)
        // The upper of two pixels sees the row above and its own, the lower its own and the row below.
        const pads = [1 - row, 1 - column, row, column]
        phases.push(this.chain.add('Conv', [this.#x, phase, ...bias], { kernel_shape: [2, 2], strides: [1, 1], pads }))
      }
    }
    const all = this.chain.add('Concat', phases, { axis: 1 })
    this.chain.add('DepthToSpace', [all], { blocksize: 2, mode: 'DCR' }, this.#node.outputs[0])
  }

  /** Of three lines along an axis: the first, and the sum of the others; the sum of the first two, and the last. */
  #halves(filter: string, axis: number): readonly [string, string] {
    const [first = '', second = '', third = ''] = this.#split(filter, axis)
    const upper = this.chain.add('Concat', [first, this.chain.add('Add', [second, third])], { axis })
    return [upper, this.chain.add('Concat', [this.chain.add('Add', [first, second]), third], { axis })]
  }

  #split(filter: string, axis: number): readonly string[] {
    const name = this.chain.nextName()
    const outputs = [0, 1, 2].map((line) => `${name}:${line}`)
    this.chain.nodes.push({
      name,
      opType: 'Split',
      domain: '',
      inputs: [filter],
      outputs,
      attributes: { axis, num_outputs: 3 },
    })
    return outputs
  }
}
