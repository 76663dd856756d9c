/** ΔW of each kind of change, in float32. Formulas: see `WeightChange`. */
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import type { ChangeForm, FactorPair, KroneckerFactor, Magnitude, WeightChange } from './lora-weight-change.ts'
import { type MatrixProduct, multiplyMatrices, multiplyTransposed } from './matrix-product.ts'

/** Factors of a change of one layer's weight, ΔW = up · down, everything that scales it folded into `up`. */
export interface LowRankChange {
  /** [rank, in], or [rank, in, k, k] for a convolution. */
  readonly down: FloatTensor
  /** [out, rank], or [out, rank, 1, 1]. */
  readonly up: FloatTensor
}

/** What LoRAs change of one layer, still in their files. */
export interface LayerChange {
  /** Of the LoRAs' factors together. */
  readonly rank: number
  /**
   * Reads the factors: the scale and alpha/rank of each LoRA folded into `up`, several LoRAs side by side along the rank.
   * @throws CheckpointError when one has a value that is no finite number
   */
  read(): Promise<LowRankChange>
}

/**
 * A change as factors in the shape of its layer: a linear layer's may be stored as 1×1 convolutions and the other way round. A Tucker
 * core is multiplied into `down`, which then has the same rank as before: two products at run time instead of three.
 * @param change one that has a `branchRank`
 * @param shape of the weight, which the change must fit (`misfit`)
 * @param scale multiplies what the file says
 */
export function lowRankFactors(
  { form, scale: own, magnitude }: WeightChange<FloatTensor>,
  shape: Shape,
  scale = 1,
): LowRankChange {
  if (magnitude) throw new Error('a change with norms has no factors to run beside a weight')
  const [out, ...rest] = shape as readonly [number, ...number[]]
  const { up, down } = factorsOf(form)
  const rank = up.length / out
  const ones = rest.slice(1).map(() => 1)
  return { down: float32([rank, ...rest], down), up: float32([out, rank, ...ones], scaled(up, own * scale)) }
}

function factorsOf(form: ChangeForm<FloatTensor>): { readonly up: Float32Array; readonly down: Float32Array } {
  if (form.kind === 'low-rank') {
    return { up: form.up.data, down: form.mid ? withCore(form.down, form.mid) : form.down.data }
  }
  if (form.kind !== 'loha') throw new Error(`a ${form.kind} change has no factors to run beside a weight`)
  return hadamardFactors(form.first, form.second)
}

/** (a b) ∘ (c d) = up · down with up[o, pq] = a[o, p] c[o, q] and down[pq, i] = b[p, i] d[q, i]. */
function hadamardFactors(first: FactorPair<FloatTensor>, second: FactorPair<FloatTensor>) {
  const [p, q] = [first.b.shape[0] as number, second.b.shape[0] as number]
  const rows = first.a.data.length / p
  const columns = first.b.data.length / p
  const up = new Float32Array(rows * p * q)
  for (let o = 0, to = 0; o < rows; o++) {
    for (let i = 0; i < p; i++) {
      const factor = first.a.data[o * p + i] as number
      for (let j = 0; j < q; j++) up[to++] = factor * (second.a.data[o * q + j] as number)
    }
  }
  const down = new Float32Array(p * q * columns)
  for (let i = 0, to = 0; i < p; i++) {
    for (let j = 0; j < q; j++) {
      const [b, d] = [i * columns, j * columns]
      for (let x = 0; x < columns; x++) down[to++] = (first.b.data[b + x] as number) * (second.b.data[d + x] as number)
    }
  }
  return { up, down }
}

/** Σ_q mid[p, q, …] down[q, i] → [p, i, …] */
function withCore(down: FloatTensor, mid: FloatTensor): Float32Array {
  const [outer, inner, ...kernel] = mid.shape as readonly [number, number, ...number[]]
  return tucker(mid.data, { outer, inner, area: elementCount(kernel) }, down.data, down.data.length / inner)
}

interface CoreShape {
  readonly outer: number
  readonly inner: number
  readonly area: number
}

/** Σ_j core[i, j, x] matrix[j, r] → [i, r, x] */
function tucker(
  core: Float32Array,
  { outer, inner, area }: CoreShape,
  matrix: Float32Array,
  columns: number,
): Float32Array {
  const result = new Float32Array(outer * columns * area)
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < inner; j++) {
      const from = (i * inner + j) * area
      for (let r = 0; r < columns; r++) {
        const factor = matrix[j * columns + r] as number
        const to = (i * columns + r) * area
        for (let x = 0; x < area; x++) {
          result[to + x] = (result[to + x] as number) + factor * (core[from + x] as number)
        }
      }
    }
  }
  return result
}

export interface DeltaOptions {
  /** Multiplies what the file says; default 1. Under DoRA it scales the change before the norms are taken, as in peft. */
  readonly scale?: number
  /** Computes the products of matrices; default in JavaScript, on this thread. */
  readonly multiply?: MatrixProduct
}

/**
 * ΔW of any kind of change, in the weight's shape; `weight` itself stays as it is. Its values count for DoRA alone.
 * @param weight the base model's, which the change must fit (`misfit`)
 */
export async function weightDelta(
  change: WeightChange<FloatTensor>,
  weight: FloatTensor,
  { scale = 1, multiply = multiplyMatrices }: DeltaOptions = {},
): Promise<FloatTensor> {
  const [out = 1] = weight.shape
  const product = await formProduct(change.form, out, multiply)
  if (product.length !== weight.data.length) {
    throw new CheckpointError(`a ${change.form.kind} change of ${product.length} values does not fit [${weight.shape}]`)
  }
  scaleInPlace(product, change.scale * scale)
  const delta = float32(weight.shape, product)
  if (change.magnitude) bringToNorms(delta, weight, change.magnitude)
  return delta
}

/** The form's product, unscaled and in the order of the weight's elements; in memory of its own. */
async function formProduct(form: ChangeForm<FloatTensor>, out: number, multiply: MatrixProduct): Promise<Float32Array> {
  switch (form.kind) {
    case 'full':
      return form.difference.data.slice()
    case 'low-rank': {
      const rank = form.up.data.length / out
      const down = form.mid ? withCore(form.down, form.mid) : form.down.data
      return multiply(form.up.data, down, { rows: out, inner: rank, columns: down.length / rank })
    }
    case 'loha': {
      const first = await pairProduct(form.first, multiply)
      const second = await pairProduct(form.second, multiply)
      const product = first.data
      for (let i = 0; i < product.length; i++) product[i] = (product[i] as number) * (second.data[i] as number)
      return product
    }
    case 'lokr': {
      const first = await kroneckerFactor(form.first, multiply)
      const second = await kroneckerFactor(form.second, multiply)
      return kronecker(first, second)
    }
  }
}

/** Row-major; further axes count as columns. */
interface Matrix {
  readonly rows: number
  readonly data: Float32Array
}

async function pairProduct({ a, b, core }: FactorPair<FloatTensor>, multiply: MatrixProduct): Promise<Matrix> {
  if (!core) {
    const [rows = 0, inner = 0] = a.shape
    return { rows, data: await multiply(a.data, b.data, { rows, inner, columns: b.data.length / inner }) }
  }
  // a [i, p] and b [j, r] around core [i, j, x] → [p, r, x]
  const [outer, inner, ...kernel] = core.shape as readonly [number, number, ...number[]]
  const columns = b.data.length / inner
  const middle = tucker(core.data, { outer, inner, area: elementCount(kernel) }, b.data, columns)
  const rows = a.data.length / outer
  return { rows, data: multiplyTransposed(a.data, middle, { rows, inner: outer, columns: middle.length / outer }) }
}

async function kroneckerFactor(factor: KroneckerFactor<FloatTensor>, multiply: MatrixProduct): Promise<Matrix> {
  if (!('whole' in factor)) return pairProduct(factor, multiply)
  return { rows: factor.whole.shape[0] as number, data: factor.whole.data }
}

/**
 * Of a convolution's factors the second alone has a kernel, behind its columns, where it stays: first ⊗ second in the order of a
 * weight [out, in, k, k] is that of matrices.
 */
function kronecker(first: Matrix, second: Matrix): Float32Array {
  const result = new Float32Array(first.data.length * second.data.length)
  const [columns, width] = [first.data.length / first.rows, second.data.length / second.rows]
  let to = 0
  for (let i = 0; i < first.rows; i++) {
    for (let k = 0; k < second.rows; k++) {
      for (let j = 0; j < columns; j++) {
        const factor = first.data[i * columns + j] as number
        for (let x = k * width; x < (k + 1) * width; x++) result[to++] = factor * (second.data[x] as number)
      }
    }
  }
  return result
}

/** DoRA: Δ becomes m · (W + Δ) / ‖W + Δ‖ − W, the norms taken over each output's weights, or each input's. */
function bringToNorms(delta: FloatTensor, weight: FloatTensor, { norms, isByRow }: Magnitude<FloatTensor>): void {
  const [out = 1, inputs = 1] = weight.shape
  const area = weight.data.length / out / inputs
  const byRow = isByRow || normsByRow(norms.shape, weight.shape)
  // Runs of elements that share a norm: a whole row, or one input's kernel in it.
  const run = byRow ? inputs * area : area
  const lines = byRow ? out : inputs
  const squares = new Float64Array(lines)
  for (let start = 0, line = 0; start < delta.data.length; start += run, line = (line + 1) % lines) {
    let sum = 0
    for (let i = start; i < start + run; i++) {
      const value = (weight.data[i] as number) + (delta.data[i] as number)
      delta.data[i] = value
      sum += value * value
    }
    squares[line] = (squares[line] as number) + sum
  }
  const factors = squares.map((square, line) => (square === 0 ? 0 : (norms.data[line] as number) / Math.sqrt(square)))
  for (let start = 0, line = 0; start < delta.data.length; start += run, line = (line + 1) % lines) {
    const factor = factors[line] as number
    for (let i = start; i < start + run; i++) {
      delta.data[i] = (delta.data[i] as number) * factor - (weight.data[i] as number)
    }
  }
}

/** LyCORIS stores norms of outputs as [out, 1, …] and norms of inputs as [1, in, …]. */
export function normsByRow(norms: Shape, weight: Shape): boolean {
  return norms[0] === weight[0] && elementCount(norms) === weight[0]
}

function scaled(values: Float32Array, scale: number): Float32Array {
  if (scale === 1) return values
  const copy = values.slice()
  scaleInPlace(copy, scale)
  return copy
}

function scaleInPlace(values: Float32Array, scale: number): void {
  if (scale === 1) return
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * scale
}
