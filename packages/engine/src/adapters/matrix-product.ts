import { NO_WEIGHTS, type Weights } from '../checkpoint/prepared-weights.ts'
import { Graph } from '../graph/graph.ts'
import { type FloatTensor, float32, type Tensor } from '../tensor/tensor.ts'

/** Sizes of a product a · b: a [rows, inner], b [inner, columns]. */
export interface ProductShape {
  readonly rows: number
  readonly inner: number
  readonly columns: number
}

/** a · b of row-major matrices, [rows, columns]. */
export type MatrixProduct = (
  a: Float32Array,
  b: Float32Array,
  shape: ProductShape,
) => Float32Array | Promise<Float32Array>

/** In JavaScript: 1 ns a multiplication. */
export function multiplyMatrices(a: Float32Array, b: Float32Array, shape: ProductShape): Float32Array {
  return sumOfRows(a, b, shape, (row, k) => row * shape.inner + k)
}

/** aᵀ · b: a [inner, rows]. */
export function multiplyTransposed(a: Float32Array, b: Float32Array, shape: ProductShape): Float32Array {
  return sumOfRows(a, b, shape, (row, k) => k * shape.rows + row)
}

function sumOfRows(
  a: Float32Array,
  b: Float32Array,
  { rows, inner, columns }: ProductShape,
  indexInA: (row: number, k: number) => number,
): Float32Array {
  const result = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const out = result.subarray(row * columns, (row + 1) * columns)
    for (let k = 0; k < inner; k++) {
      const factor = a[indexInA(row, k)] as number
      const from = k * columns
      for (let i = 0; i < columns; i++) out[i] = (out[i] as number) + factor * (b[from + i] as number)
    }
  }
  return result
}

interface ProductSession {
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>
  release(): Promise<void>
}

/** What loads graphs: the engine's Runtime. */
export interface SessionFactory {
  createSession(graph: Graph, weights: Weights): Promise<ProductSession>
}

/** Below this number of multiplications a session costs more than it saves. */
const SMALL_PRODUCT = 2 ** 21

/** Multiplies in the engine's runtime, in sessions that are kept for products of the same shape: an SD1.5-size LoRA is 10^10 multiplications. */
export class MatrixProducts {
  readonly #factory: SessionFactory
  readonly #sessions = new Map<string, Promise<ProductSession>>()

  constructor(factory: SessionFactory) {
    this.#factory = factory
  }

  readonly multiply: MatrixProduct = async (a, b, shape) => {
    const { rows, inner, columns } = shape
    if (rows * inner * columns < SMALL_PRODUCT) return multiplyMatrices(a, b, shape)
    const session = await this.#session(shape)
    const { product } = await session.run({ a: float32([rows, inner], a), b: float32([inner, columns], b) })
    return (product as FloatTensor).data
  }

  async release(): Promise<void> {
    const sessions = await Promise.allSettled(this.#sessions.values())
    this.#sessions.clear()
    for (const session of sessions) if (session.status === 'fulfilled') await session.value.release()
  }

  #session({ rows, inner, columns }: ProductShape): Promise<ProductSession> {
    const key = String([rows, inner, columns])
    const known = this.#sessions.get(key)
    if (known) return known
    const created = this.#factory.createSession(productGraph({ rows, inner, columns }), NO_WEIGHTS)
    this.#sessions.set(key, created)
    return created
  }
}

function productGraph({ rows, inner, columns }: ProductShape): Graph {
  const graph = new Graph('matrix product')
  const a = graph.input('a', 'float32', [rows, inner])
  const b = graph.input('b', 'float32', [inner, columns])
  const product = graph.node('', {
    opType: 'Gemm',
    inputs: [a, b],
    output: { dtype: 'float32', shape: [rows, columns] },
  })
  graph.output('product', product)
  return graph
}
