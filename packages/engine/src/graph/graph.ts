import { type ExternalData, encodeModel, type OnnxAttribute, type OnnxModel, type OnnxNode } from '../formats/onnx.ts'
import { defined } from '../tensor/defined.ts'
import { bytesOf, type DType, type Shape, type Tensor } from '../tensor/tensor.ts'

/** A tensor inside a graph that is being built. Shapes are static: one graph is built for one size. */
export interface Value {
  readonly graph: Graph
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
}

export interface NodeSpec {
  readonly opType: string
  readonly inputs: readonly (Value | undefined)[]
  readonly output: { readonly dtype: DType; readonly shape: Shape }
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>
  readonly domain?: Domain
}

/** A GroupNorm by the names of its values, for back ends that have a form of their own. */
export interface GroupNorm {
  /** [B, C, H, W] */
  readonly x: string
  readonly groups: number
  readonly epsilon: number
  /** [C] */
  readonly weight: string
  readonly bias: string
}

/** Standard ONNX operators (''), and onnxruntime's own, which all its execution providers register. */
export type Domain = '' | 'com.microsoft'

const OPSETS: Readonly<Record<Domain, number>> = { '': 20, 'com.microsoft': 1 }

export interface GraphOptions {
  /** Default false. */
  readonly toleratesReducedPrecision?: boolean
  /** Default false. */
  readonly isPreview?: boolean
  /** Default false. */
  readonly fitsFloat16?: boolean
}

/**
 * A graph under construction: nodes in topological order, and the weights it needs by checkpoint key. It knows shapes and
 * names only; bytes come in when it is serialised.
 */
export class Graph {
  readonly name: string
  /** Whether a picture bears its results in bfloat16, or its linear layers in int8. */
  readonly toleratesReducedPrecision: boolean
  /** Whether its pictures are only looked at, so that its sums may always be taken in another order. */
  readonly isPreview: boolean
  /** Whether all that is computed outside of `keepingFloat32` stays below float16's largest number, 65504. */
  readonly fitsFloat16: boolean
  /** Shapes that the checkpoint must have, by key. All weights are float32 in the graph. */
  readonly weights = new Map<string, Value>()
  readonly inputs: Value[] = []
  readonly outputs: Value[] = []
  /** Results of nodes, by name. */
  readonly results = new Map<string, Value>()
  /** By the name of the result. */
  readonly groupNorms = new Map<string, GroupNorm>()
  readonly #nodes: OnnxNode[] = []
  readonly #constants = new Map<string, { readonly value: Value; readonly tensor: Tensor }>()
  readonly #nameCounts = new Map<string, number>()
  #keepsFloat32 = false

  constructor(
    name: string,
    { toleratesReducedPrecision = false, isPreview = false, fitsFloat16 = false }: GraphOptions = {},
  ) {
    this.name = name
    this.fitsFloat16 = fitsFloat16
    this.toleratesReducedPrecision = toleratesReducedPrecision
    this.isPreview = isPreview
  }

  input(name: string, dtype: DType, shape: Shape): Value {
    const value = { graph: this, name, dtype, shape }
    this.inputs.push(value)
    return value
  }

  /** Declares `value` as the graph output `name`. */
  output(name: string, value: Value): void {
    this.#nodes.push({ name, opType: 'Identity', domain: '', inputs: [value.name], outputs: [name], attributes: {} })
    this.outputs.push({ ...value, name })
  }

  /**
   * The checkpoint's tensor `key`, which must have this shape. Asking twice gives the same value (tied weights).
   * @throws Error when it was asked for before with another shape
   */
  weight(key: string, shape: Shape): Value {
    const known = this.weights.get(key)
    if (known) {
      if (String(known.shape) !== String(shape)) {
        throw new Error(`${key} is used as [${known.shape}] and as [${shape}] in the graph ${this.name}`)
      }
      return known
    }
    const value: Value = { graph: this, name: key, dtype: 'float32', shape }
    this.weights.set(key, value)
    return value
  }

  /** A literal inside the model file; equal literals are stored once. */
  constant(tensor: Tensor): Value {
    const bytes = Buffer.from(bytesOf(tensor.data).buffer, tensor.data.byteOffset, tensor.data.byteLength)
    const id = `${tensor.dtype}[${tensor.shape}]${bytes.toString('base64')}`
    const known = this.#constants.get(id)
    if (known) return known.value
    const value = { graph: this, name: `constant/${this.#constants.size}`, dtype: tensor.dtype, shape: tensor.shape }
    this.#constants.set(id, { value, tensor })
    return value
  }

  /** Appends a node with one output, named after `path` and its operator. */
  node(path: string, spec: NodeSpec): Value {
    const [value] = this.nodes(path, { ...spec, outputs: [spec.output] })
    return defined(value)
  }

  /** Appends a node with several outputs. */
  nodes(path: string, spec: Omit<NodeSpec, 'output'> & { readonly outputs: readonly NodeSpec['output'][] }): Value[] {
    const name = this.#uniqueName(path ? `${path}/${spec.opType}` : spec.opType)
    const outputs = spec.outputs.map(({ dtype, shape }, i) => ({
      graph: this,
      name: i === 0 ? name : `${name}:${i}`,
      dtype,
      shape,
    }))
    for (const output of outputs) this.results.set(output.name, output)
    this.#nodes.push({
      name,
      opType: spec.opType,
      domain: spec.domain ?? '',
      inputs: spec.inputs.map((input) => input?.name ?? ''),
      outputs: outputs.map((output) => output.name),
      attributes: spec.attributes ?? {},
      ...(this.#keepsFloat32 && { keepsFloat32: true }),
    })
    return outputs
  }

  /** What is appended meanwhile is computed in float32 also where the rest of the graph is in float16: it needs more digits or a larger range. */
  keepingFloat32<T>(build: () => T): T {
    const before = this.#keepsFloat32
    this.#keepsFloat32 = true
    try {
      return build()
    } finally {
      this.#keepsFloat32 = before
    }
  }

  /**
   * The ONNX model, its weights as external data.
   * @param locate where the float32 bytes of a checkpoint key lie
   */
  serialize(locate: (key: string) => ExternalData): Uint8Array {
    return encodeModel(this.model(locate))
  }

  /** The shape of an input, a node's result, a weight or a constant. @throws Error when there is none of that name */
  shapeOf(name: string): Shape {
    const known = this.results.get(name) ?? this.weights.get(name) ?? this.inputs.find((input) => input.name === name)
    const value = known ?? [...this.#constants.values()].find((constant) => constant.value.name === name)?.value
    if (!value) throw new Error(`the graph ${this.name} has no value ${name}`)
    return value.shape
  }

  /** The parts that `serialize` writes. */
  model(locate: (key: string) => ExternalData): OnnxModel {
    return {
      graphName: this.name,
      opsets: OPSETS,
      nodes: this.#nodes,
      initializers: [
        ...[...this.weights].map(([key, { dtype, shape }]) => ({ name: key, dtype, shape, data: locate(key) })),
        ...[...this.#constants.values()].map(({ value, tensor }) => ({ ...value, data: bytesOf(tensor.data) })),
      ],
      inputs: this.inputs,
      outputs: this.outputs,
    }
  }

  #uniqueName(base: string): string {
    const count = this.#nameCounts.get(base) ?? 0
    this.#nameCounts.set(base, count + 1)
    return count === 0 ? base : `${base}_${count}`
  }
}
