/** Element types a tensor can have in memory, in ONNX's spelling. */
export type DType = 'float32' | 'float16' | 'int64' | 'int32' | 'uint8' | 'bool'

/** The typed array that holds the elements of each dtype; float16 is kept as its raw 16 bits. */
export interface DataOf {
  float32: Float32Array
  float16: Uint16Array
  int64: BigInt64Array
  int32: Int32Array
  uint8: Uint8Array
  bool: Uint8Array
}

/** Bytes of one element. */
export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
}

export type Shape = readonly number[]

/** A dense, row-major (C order) array. Pictures and latents are [batch, channels, height, width]. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D
  readonly shape: Shape
  readonly data: DataOf[D]
}

export type FloatTensor = Tensor<'float32'>

/** The number of elements of a shape; 1 for a scalar (`[]`). */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1)
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

/** Joins float32 tensors along their first axis. */
export function concatenate(tensors: readonly FloatTensor[]): FloatTensor {
  const [first] = tensors
  if (!first) throw new RangeError('nothing to concatenate')
  const rows = tensors.reduce((sum, t) => sum + (t.shape[0] as number), 0)
  const out = float32([rows, ...first.shape.slice(1)])
  let offset = 0
  for (const t of tensors) {
    out.data.set(t.data, offset)
    offset += t.data.length
  }
  return out
}

/** Rows `start … end-1` of the first axis, sharing memory with `source`. */
export function rows(source: FloatTensor, start: number, end: number): FloatTensor {
  const stride = elementCount(source.shape.slice(1))
  return float32([end - start, ...source.shape.slice(1)], source.data.subarray(start * stride, end * stride))
}

/** Joins two float32 tensors that differ in their last axis alone along it. */
export function concatenateLast(a: FloatTensor, b: FloatTensor): FloatTensor {
  const [m, n] = [a.shape.at(-1) as number, b.shape.at(-1) as number]
  const out = float32([...a.shape.slice(0, -1), m + n])
  const count = a.data.length / m
  for (let row = 0; row < count; row++) {
    out.data.set(a.data.subarray(row * m, (row + 1) * m), row * (m + n))
    out.data.set(b.data.subarray(row * n, (row + 1) * n), row * (m + n) + m)
  }
  return out
}
