import type { OnnxInitializer, OnnxNode } from '../formats/onnx.ts'
import { bytesOf, float32, int64, type Shape, type Tensor } from '../tensor/tensor.ts'

/** Nodes in place of one, each called after it, and their constants. */
export class NodeChain {
  readonly nodes: OnnxNode[] = []
  readonly initializers: OnnxInitializer[] = []
  readonly #prefix: string
  readonly #keepsFloat32: boolean

  /** @param form what the names say of the replacement: `unfolded` */
  constructor(node: OnnxNode, form: string) {
    this.#prefix = `${node.name}/${form}`
    this.#keepsFloat32 = node.keepsFloat32 === true
  }

  nextName(): string {
    return `${this.#prefix}/${this.nodes.length}`
  }

  /** @returns the value that the node makes; the chain's last makes that of the node it stands for */
  add(
    opType: string,
    inputs: readonly string[],
    attributes: OnnxNode['attributes'] = {},
    output = this.nextName(),
  ): string {
    const kept = this.#keepsFloat32 && { keepsFloat32: true }
    this.nodes.push({ name: output, opType, domain: '', inputs, outputs: [output], attributes, ...kept })
    return output
  }

  /** The same of a node that stays in float32 whatever the one that it stands for does. */
  addInFloat32(opType: string, inputs: readonly string[], attributes: OnnxNode['attributes']): string {
    const name = this.nextName()
    this.nodes.push({ name, opType, domain: '', inputs, outputs: [name], attributes, keepsFloat32: true })
    return name
  }

  /** A constant list of int64. */
  integers(values: readonly number[]): string {
    return this.#constant(int64([values.length], values))
  }

  /** A constant number of float32. */
  scalar(value: number): string {
    return this.#constant(float32([], Float32Array.of(value)))
  }

  /** A constant of float32. */
  floats(shape: Shape, values: readonly number[]): string {
    return this.#constant(float32(shape, Float32Array.from(values)))
  }

  #constant({ dtype, shape, data }: Tensor): string {
    const name = `${this.#prefix}/constant/${this.initializers.length}`
    this.initializers.push({ name, dtype, shape, data: bytesOf(data) })
    return name
  }
}
