import type { OnnxInitializer, OnnxModel, OnnxNode, OnnxValueInfo } from '../formats/onnx.ts'
import { float32ToFloat16 } from '../tensor/float16.ts'
import { bytesOf, type DType } from '../tensor/tensor.ts'

/** The largest float16. */
const LARGEST = 65504

/** Numbers of ONNX's TensorProto.DataType. */
const CAST_TO: Readonly<Record<FloatType, number>> = { float32: 1, float16: 10 }

type FloatType = 'float32' | 'float16'

/**
 * A float32 model that computes in float16, for GPUs: weights are read as they are stored, nodes marked `keepsFloat32` (norms, sums of
 * many values, sinusoids of the time) stay in float32, and so do inputs and results, which are small beside what lies between them. Literals
 * beyond float16's range become its largest number, as masks of attention are in half precision elsewhere.
 * @param model initializers may be float16 already
 * @param computes `float32`: everything stays in float32, and only weights may be float16 (a graph that leaves float16's range)
 */
export function float16Form(model: OnnxModel, computes: FloatType): OnnxModel {
  const form = new Float16Form(model, computes)
  const nodes = model.nodes.flatMap((node) => form.rewrite(node))
  return { ...model, nodes, initializers: form.usedInitializers() }
}

class Float16Form {
  readonly #computes: FloatType
  readonly #results: ReadonlySet<string>
  readonly #initializers: ReadonlyMap<string, OnnxInitializer>
  /** Of every value that was made so far. */
  readonly #types = new Map<string, DType>()
  readonly #used = new Map<string, OnnxInitializer>()
  /** Values in the other type, by name. */
  readonly #casts = new Map<string, string>()
  #added: OnnxNode[] = []

  constructor(model: OnnxModel, computes: FloatType) {
    this.#computes = computes
    this.#results = new Set(model.outputs.map(({ name }) => name))
    this.#initializers = new Map(model.initializers.map((each) => [each.name, each]))
    for (const { name, dtype } of [...model.inputs, ...model.initializers] as OnnxValueInfo[])
      this.#types.set(name, dtype)
  }

  /** The node, after the casts that its inputs need. */
  rewrite(node: OnnxNode): readonly OnnxNode[] {
    const makesResult = node.outputs.some((name) => this.#results.has(name))
    const type = node.keepsFloat32 === true || makesResult ? 'float32' : this.#computes
    this.#added = []
    // What is made of floats is floats: no operator here compares, counts or asks for shapes.
    const makesFloats = node.inputs.some((name) => this.#isFloat(name))
    const inputs = node.inputs.map((name) => (this.#isFloat(name) ? this.#as(name, type) : this.#use(name)))
    for (const name of node.outputs) this.#types.set(name, makesFloats ? type : 'int64')
    return [...this.#added, { ...node, inputs }]
  }

  usedInitializers(): OnnxInitializer[] {
    return [...this.#used.values()]
  }

  #isFloat(name: string): boolean {
    const type = this.#types.get(name)
    return type === 'float32' || type === 'float16'
  }

  #use(name: string): string {
    const initializer = this.#initializers.get(name)
    if (initializer) this.#used.set(name, initializer)
    return name
  }

  #as(name: string, type: FloatType): string {
    if (this.#types.get(name) === type) return this.#use(name)
    const known = this.#casts.get(name)
    if (known !== undefined) return known
    const cast = `${name}/${type}`
    this.#casts.set(name, cast)
    this.#types.set(cast, type)
    const initializer = this.#initializers.get(name)
    if (initializer?.data instanceof Uint8Array && type === 'float16') {
      this.#used.set(cast, halved(initializer, initializer.data, cast))
      return cast
    }
    const attributes = { to: CAST_TO[type] }
    this.#added.push({ name: cast, opType: 'Cast', domain: '', inputs: [this.#use(name)], outputs: [cast], attributes })
    return cast
  }
}

function halved({ shape }: OnnxInitializer, bytes: Uint8Array, name: string): OnnxInitializer {
  const values = new Float32Array(bytes.slice().buffer).map((value) => Math.max(-LARGEST, Math.min(LARGEST, value)))
  return { name, dtype: 'float16', shape, data: bytesOf(float32ToFloat16(values)) }
}
