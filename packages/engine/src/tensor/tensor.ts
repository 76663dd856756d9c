import { defined } from './defined.ts'

/** Element types a tensor can have in memory, in ONNX's spelling. */
export type DType = 'float32' | 'float16' | 'int64' | 'int32' | 'uint8' | 'int8' | 'bool'

/** The typed array that holds the elements of each dtype; float16 is kept as its raw 16 bits. */
export interface DataOf {
  float32: Float32Array
  float16: Uint16Array
  int64: BigInt64Array
  int32: Int32Array
  uint8: Uint8Array
  int8: Int8Array
  bool: Uint8Array
}

/** Bytes of one element. */
export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  int64: 8,
  int32: 4,
  uint8: 1,
  int8: 1,
  bool: 1,
}

export type Shape = readonly number[]

/** A dimension of a graph's input that is known only when the graph runs. */
export const DYNAMIC = -1

/** A dense, row-major (C order) array. Pictures and latents are [batch, channels, height, width]. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D
  readonly shape: Shape
  readonly data: DataOf[D]
}

export type FloatTensor = Tensor<'float32'>

/** Whether a value that was read from somewhere is a whole number from zero on, as a dimension or a number of elements is. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** The number of elements of a shape; 1 for a scalar (`[]`). */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1)
}

interface Dimensions {
  readonly 1: [number]
  readonly 2: [number, number]
  readonly 3: [number, number, number]
  readonly 4: [number, number, number, number]
}

/**
 * The first dimensions of a shape: `const [batch, channels] = dimensions(x.shape, 2)`.
 * @throws RangeError for a shape that has fewer
 */
export function dimensions<Count extends keyof Dimensions>(shape: Shape, count: Count): Dimensions[Count] {
  if (shape.length < count) throw new RangeError(`the shape [${shape}] has fewer than ${count} dimensions`)
  return shape.slice(0, count) as Dimensions[Count]
}

/** The result of a session that must be one of float32. @throws TypeError when it is missing or of another dtype */
export function expectFloat32(result: Tensor | undefined): FloatTensor {
  if (result === undefined || !isFloat32(result)) {
    throw new TypeError(`expected a float32 tensor, got ${result ? `one of ${result.dtype}` : 'none'}`)
  }
  return result
}

function isFloat32(tensor: Tensor): tensor is FloatTensor {
  return tensor.dtype === 'float32'
}

/**
 * A float32 tensor over `data`, or of zeros.
 * @throws RangeError when data and shape disagree
 */
export function float32(shape: Shape, data: Float32Array = new Float32Array(elementCount(shape))): FloatTensor {
  return tensor('float32', shape, data)
}

/**
 * A tensor over `data`, which is not copied.
 * @throws RangeError when data and shape disagree
 */
export function tensor<D extends DType>(dtype: D, shape: Shape, data: DataOf[D]): Tensor<D> {
  if (data.length !== elementCount(shape)) {
    throw new RangeError(
      `a ${dtype} tensor of shape [${shape}] has ${elementCount(shape)} elements, got ${data.length}`,
    )
  }
  return { dtype, shape, data }
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** int64 tensor from JavaScript integers. */
export function int64(shape: Shape, values: readonly number[]): Tensor<'int64'> {
  return tensor('int64', shape, BigInt64Array.from(values, BigInt))
}

/** Applies `f` to each element of float32 tensors of one shape; the result is rounded to float32. */
export function map(f: (...values: number[]) => number, first: FloatTensor, ...rest: FloatTensor[]): FloatTensor {
  const out = float32(first.shape)
  const args = new Array<number>(1 + rest.length)
  for (const other of rest) {
    if (other.data.length !== first.data.length) {
      throw new RangeError(`shapes [${first.shape}] and [${other.shape}] differ`)
    }
  }
  for (let i = 0; i < out.data.length; i++) {
    args[0] = first.data[i] as number
    for (let k = 0; k < rest.length; k++) args[k + 1] = rest[k]?.data[i] as number
    out.data[i] = f(...args)
  }
  return out
}

/** Whether no element is infinite or NaN. */
export function allFinite({ data }: FloatTensor): boolean {
  // Both give NaN times zero; a tenth of the time that a call for each element takes.
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += (data[i] as number) * 0
  return sum === 0
}

/** Joins float32 tensors that differ in one axis alone along it; a single one is returned as it is. */
export function concatenate(tensors: readonly FloatTensor[], axis = 0): FloatTensor {
  const [first, ...others] = tensors
  if (!first) throw new RangeError('nothing to concatenate')
  if (others.length === 0) return first
  const at = axis < 0 ? first.shape.length + axis : axis
  const length = tensors.reduce((sum, t) => sum + defined(t.shape[at]), 0)
  const out = float32(first.shape.map((size, i) => (i === at ? length : size)))
  const outer = elementCount(first.shape.slice(0, at))
  let offset = 0
  for (let row = 0; row < outer; row++) {
    for (const { data } of tensors) {
      const run = data.length / outer
      out.data.set(data.subarray(row * run, (row + 1) * run), offset)
      offset += run
    }
  }
  return out
}

/** Rows `start … end-1` of the first axis, sharing memory with `source`. */
export function rows(source: FloatTensor, start: number, end: number): FloatTensor {
  const stride = elementCount(source.shape.slice(1))
  return float32([end - start, ...source.shape.slice(1)], source.data.subarray(start * stride, end * stride))
}
