import type { OnnxModel, OnnxNode } from '../../formats/onnx.ts'
import type { Shape } from '../../tensor/tensor.ts'
import { NodeChain } from '../node-chain.ts'

/**
 * Writes convolutions whose filter is an input (the branches of LoRAs, of any rank) as matrix products, one for each place of the filter:
 * OpenVINO's convolutions take no filter of an open size.
 * @param shapeOf shape of a value that a node reads or makes; open dimensions are negative
 */
export function unfoldConvolutions(model: OnnxModel, shapeOf: (name: string) => Shape): OnnxModel {
  const stored = new Set(model.initializers.map(({ name }) => name))
  const isOpen = ({ opType, inputs }: OnnxNode) => opType === 'Conv' && !stored.has(inputs[1] ?? '')
  if (!model.nodes.some(isOpen)) return model
  const initializers = [...model.initializers]
  const nodes = model.nodes.flatMap((node) => {
    if (!isOpen(node)) return [node]
    const unfolding = new Unfolding(node, shapeOf)
    unfolding.build()
    initializers.push(...unfolding.chain.initializers)
    return unfolding.chain.nodes
  })
  return { ...model, nodes, initializers }
}

/** The nodes in place of one convolution without bias: pad, then for each place of the filter a strided part of the map times its matrix. */
class Unfolding {
  readonly chain: NodeChain
  readonly #node: OnnxNode
  readonly #shapeOf: (name: string) => Shape

  constructor(node: OnnxNode, shapeOf: (name: string) => Shape) {
    if (node.inputs.length !== 2) throw new Error(`${node.name} has a bias beside its open filter`)
    this.chain = new NodeChain(node, 'unfolded')
    this.#node = node
    this.#shapeOf = shapeOf
  }

  build(): void {
    const [x = '', weight = ''] = this.#node.inputs
    const [result = ''] = this.#node.outputs
    const [batch = 1, , height = 1, width = 1] = this.#shapeOf(result)
    const [outChannels = -1, inChannels = -1] = this.#shapeOf(weight)
    const [kernelHeight = 1, kernelWidth = 1] = this.#attribute('kernel_shape')
    const padded = this.#padded(x)
    let sum: string | undefined
    for (let y = 0; y < kernelHeight; y++) {
      for (let at = 0; at < kernelWidth; at++) {
        const map = this.#reshape(this.#part(padded, [y, at], [height, width]), [batch, inChannels, height * width])
        const tap = kernelHeight * kernelWidth === 1 ? weight : this.#slice(weight, [y, at], [y + 1, at + 1], [1, 1])
        const matrix = this.#reshape(tap, [outChannels, inChannels])
        const product = this.chain.add('MatMul', [matrix, map])
        sum = sum === undefined ? product : this.chain.add('Add', [sum, product])
      }
    }
    const shape = this.chain.integers([batch, outChannels, height, width])
    this.chain.add('Reshape', [sum ?? '', shape], {}, result)
  }

  #attribute(name: 'kernel_shape' | 'strides' | 'pads'): readonly number[] {
    const value = this.#node.attributes[name]
    return Array.isArray(value) ? value : []
  }

  #padded(x: string): string {
    const [top = 0, left = 0, bottom = 0, right = 0] = this.#attribute('pads')
    if (top + left + bottom + right === 0) return x
    return this.chain.add('Pad', [x, this.chain.integers([0, 0, top, left, 0, 0, bottom, right])])
  }

  /** The values that one place of the filter meets, [B, C, H', W']. */
  #part(x: string, [top, left]: readonly [number, number], [height, width]: readonly [number, number]): string {
    const [down = 1, along = 1] = this.#attribute('strides')
    const [kernelHeight = 1, kernelWidth = 1] = this.#attribute('kernel_shape')
    if (kernelHeight * kernelWidth === 1 && down * along === 1) return x
    const ends = [top + (height - 1) * down + 1, left + (width - 1) * along + 1]
    return this.#slice(x, [top, left], ends, [down, along])
  }

  /** Of the last two axes. */
  #slice(x: string, starts: readonly number[], ends: readonly number[], steps: readonly number[]): string {
    return this.chain.add('Slice', [x, ...[starts, ends, [2, 3], steps].map((values) => this.chain.integers(values))])
  }

  #reshape(x: string, shape: Shape): string {
    return this.chain.add('Reshape', [x, this.chain.integers(shape)])
  }
}
