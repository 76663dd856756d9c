/** What a pickle of weights can hold, as plain data. */
import type { ElementType, TensorEntry } from './stored-tensor.ts'
import { ELEMENT_BYTES, rowMajorStrides, spanOf } from './stored-tensor.ts'

/**
 * A value of a pickle. Lists and tuples are arrays, dicts of any kind are maps, integers beyond 2^53 are bigints; values that are
 * pickled once and referred to twice are one object, so that a value may even hold itself.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PickledTensor
  | PickledStorage
  | PickledGlobal
  | PickledObject

/** A class or function that the pickle names, without being it. */
export class PickledGlobal {
  /** `collections.OrderedDict` */
  readonly path: string

  constructor(path: string) {
    this.path = path
  }
}

/** An object of a class that is known to hold nothing but data: what would be passed to it. */
export class PickledObject {
  readonly path: string
  readonly args: readonly PickleValue[]
  /** Its attributes, mostly a map. */
  state: PickleValue = null

  constructor(path: string, args: readonly PickleValue[]) {
    this.path = path
    this.args = args
  }
}

/** A run of elements in the file, which tensors are views of. */
export class PickledStorage {
  readonly key: string
  /** U8 for an untyped storage, whose tensors say what they are. */
  readonly dtype: ElementType
  readonly byteLength: number
  /** Offset in the file; known once the whole pickle is read. */
  start: number | undefined
  isBigEndian = false

  constructor(key: string, dtype: ElementType, byteLength: number) {
    this.key = key
    this.dtype = dtype
    this.byteLength = byteLength
  }
}

export interface PickledTensorParts {
  readonly storage: PickledStorage
  readonly dtype: ElementType
  /** Elements from the storage's start. */
  readonly storageOffset: number
  readonly shape: readonly number[]
  /** Elements, by dimension. */
  readonly strides: readonly number[]
}

export class PickledTensor {
  readonly dtype: ElementType
  readonly shape: readonly number[]
  readonly #parts: PickledTensorParts

  constructor(parts: PickledTensorParts) {
    this.dtype = parts.dtype
    this.shape = parts.shape
    this.#parts = parts
  }

  /** Where the elements lie in the file. */
  get entry(): TensorEntry {
    const { storage, dtype, storageOffset, shape, strides } = this.#parts
    if (storage.start === undefined) throw new Error(`the storage ${storage.key} is not located yet`)
    const size = ELEMENT_BYTES[dtype]
    const packed = rowMajorStrides(shape)
    // The stride of a dimension of one index means nothing.
    const isRowMajor = shape.includes(0) || shape.every((count, i) => count === 1 || strides[i] === packed[i])
    return {
      dtype,
      shape,
      offset: storage.start + storageOffset * size,
      length: spanOf(shape, strides) * size,
      ...(!isRowMajor && { strides }),
      ...(storage.isBigEndian && size > 1 && { isBigEndian: true as const }),
    }
  }
}
