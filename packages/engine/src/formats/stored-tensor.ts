/** A tensor as it lies in a file, whatever the file's format: where its elements are, and how they are read. */
import { type FileHandle, open } from 'node:fs/promises'
import { bfloat16ToFloat32, float8ToFloat32, float16ToFloat32 } from '../tensor/float16.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'

/** Bytes of one element, by the element types' names in safetensors files. */
export const ELEMENT_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const

/** Element types, in safetensors' spelling; F8_E4M3 is the form without infinities (e4m3fn). */
export type ElementType = keyof typeof ELEMENT_BYTES

/** The place of one tensor in a file. */
export interface TensorEntry {
  readonly dtype: ElementType
  readonly shape: Shape
  /** Of the first element's first byte, counted from the start of the file. */
  readonly offset: number
  /** Bytes from there to the end of the last element. */
  readonly length: number
  /** Elements from one index to the next, by dimension; absent: row-major without gaps. */
  readonly strides?: readonly number[]
  readonly isBigEndian?: true
}

/** A file of named tensors, as far as its header says. Nothing is kept open. */
export interface WeightFile {
  readonly path: string
  /** Bytes of the whole file. */
  readonly size: number
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly metadata: Readonly<Record<string, string>>
}

/** Whether the elements lie row-major, little-endian and without gaps: the bytes are the tensor. */
export function isPlain({ strides, isBigEndian }: TensorEntry): boolean {
  return strides === undefined && isBigEndian === undefined
}

/** The strides of a row-major tensor. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let next = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = next
    next *= shape[i] as number
  }
  return strides
}

/**
 * A tensor as float32, whatever it is stored as (int64 beyond 2^24 and float64 are rounded).
 * @throws Error when the file has shrunk since its header was read
 */
export async function readEntry(path: string, entry: TensorEntry): Promise<FloatTensor> {
  return float32(entry.shape, toFloat32(entry.dtype, await readEntryBytes(path, entry)))
}

/** A tensor's elements row-major, little-endian and without gaps. */
export async function readEntryBytes(path: string, entry: TensorEntry): Promise<ArrayBuffer> {
  const handle = await open(path, 'r')
  try {
    const bytes = entry.strides
      ? await readStrided(handle, entry, entry.strides)
      : await readBytes(handle, entry.offset, entry.length)
    if (entry.isBigEndian) swapBytes(bytes, ELEMENT_BYTES[entry.dtype])
    return bytes.buffer
  } finally {
    await handle.close()
  }
}

export async function readBytes(
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  // One read takes at most 2 GiB; a tensor of a big model can be more.
  const step = 2 ** 30
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(step, length - done), position + done)
    if (bytesRead === 0) throw new Error(`expected ${length} bytes at byte ${position}, the file ends after ${done}`)
    done += bytesRead
  }
  return bytes
}

/** Elements that lie this far apart are read together, gaps and all. */
const SMALL_SPAN = 2 ** 20
/** A part of a tensor is read in one piece when it fills at least this part of the bytes that it is spread over. */
const DENSE = 1 / 4

async function readStrided(
  handle: FileHandle,
  { dtype, shape, offset }: TensorEntry,
  strides: readonly number[],
): Promise<Uint8Array<ArrayBuffer>> {
  const size = ELEMENT_BYTES[dtype]
  const out = new Uint8Array(elementCount(shape) * size)
  if (out.length === 0) return out
  let done = 0
  const readFrom = async (dimension: number, position: number): Promise<void> => {
    const [part, steps] = [shape.slice(dimension), strides.slice(dimension)]
    const bytes = elementCount(part) * size
    const span = spanOf(part, steps) * size
    if (dimension === shape.length || span <= SMALL_SPAN || bytes >= span * DENSE) {
      gather(await readBytes(handle, position, span), part, steps, size, out.subarray(done, done + bytes))
      done += bytes
      return
    }
    for (let i = 0; i < (shape[dimension] as number); i++) {
      await readFrom(dimension + 1, position + i * (strides[dimension] as number) * size)
    }
  }
  await readFrom(0, offset)
  return out
}

/** Elements from the first to the last one, both counted; 0 for an empty tensor. */
export function spanOf(shape: Shape, strides: readonly number[]): number {
  if (shape.includes(0)) return 0
  return shape.reduce((sum, count, i) => sum + (count - 1) * (strides[i] as number), 1)
}

function gather(source: Uint8Array, shape: Shape, strides: readonly number[], size: number, out: Uint8Array): void {
  const index = new Array<number>(shape.length).fill(0)
  let from = 0
  for (let to = 0; to < out.length; to += size) {
    for (let i = 0; i < size; i++) out[to + i] = source[from * size + i] as number
    for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
      const stride = strides[dimension] as number
      const next = (index[dimension] as number) + 1
      from += stride
      if (next < (shape[dimension] as number)) {
        index[dimension] = next
        break
      }
      index[dimension] = 0
      from -= next * stride
    }
  }
}

function swapBytes(bytes: Uint8Array, size: number): void {
  for (let start = 0; start < bytes.length; start += size) bytes.subarray(start, start + size).reverse()
}

function toFloat32(dtype: ElementType, buffer: ArrayBuffer): Float32Array {
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer)
    case 'F16':
      return float16ToFloat32(new Uint16Array(buffer))
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(buffer))
    case 'F8_E4M3':
    case 'F8_E5M2':
      return float8ToFloat32(new Uint8Array(buffer), dtype === 'F8_E4M3' ? 'e4m3fn' : 'e5m2')
    case 'F64':
      return Float32Array.from(new Float64Array(buffer))
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer), Number)
    case 'U64':
      return Float32Array.from(new BigUint64Array(buffer), Number)
    case 'I32':
      return Float32Array.from(new Int32Array(buffer))
    case 'U32':
      return Float32Array.from(new Uint32Array(buffer))
    case 'I16':
      return Float32Array.from(new Int16Array(buffer))
    case 'U16':
      return Float32Array.from(new Uint16Array(buffer))
    case 'I8':
      return Float32Array.from(new Int8Array(buffer))
    case 'U8':
    case 'BOOL':
      return Float32Array.from(new Uint8Array(buffer))
  }
}
