/**
 * Writes ONNX models: the part of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) that a static
 * inference graph needs. Message by message in the order of the specification; field numbers are the specification's.
 */
import protobuf from 'protobufjs/minimal.js'
import { bytesOf, type DType, DYNAMIC, type Shape, type Tensor } from '../tensor/tensor.ts'

type Writer = protobuf.Writer

const DATA_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
}

const LENGTH_DELIMITED = 2
const VARINT = 0
const FIXED32 = 5

/** An attribute: integers are written as INT, other numbers need `{ float }` because 1 and 1.0 look alike here. */
export type OnnxAttribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly tensor: Tensor }

export interface OnnxNode {
  readonly name: string
  readonly opType: string
  /** Empty for the standard operators. */
  readonly domain: string
  /** Tensor names; an empty string is an absent optional input. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
  /** Of a model that is put into float16: this node stays in float32. Not written to a file. */
  readonly keepsFloat32?: boolean
}

export interface OnnxValueInfo {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
}

/** Where an initializer's bytes lie: a file name relative to the model's external-data folder. */
export interface ExternalData {
  readonly location: string
  readonly offset: number
  readonly length: number
}

export interface OnnxInitializer extends OnnxValueInfo {
  /** The bytes themselves (row-major, little-endian), or where they are. */
  readonly data: Uint8Array | ExternalData
}

export interface OnnxModel {
  readonly graphName: string
  readonly opsets: Readonly<Record<string, number>>
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly OnnxInitializer[]
  readonly inputs: readonly OnnxValueInfo[]
  readonly outputs: readonly OnnxValueInfo[]
}

/** Serialises a model (IR version 10). */
export function encodeModel(model: OnnxModel): Uint8Array {
  const writer = protobuf.Writer.create()
  integer(writer, 1, 10)
  text(writer, 2, 'darkroom')
  message(writer, 7, (w) => graphProto(w, model))
  for (const [domain, version] of Object.entries(model.opsets)) {
    message(writer, 8, (w) => {
      text(w, 1, domain)
      integer(w, 2, version)
    })
  }
  return writer.finish()
}

function graphProto(w: Writer, model: OnnxModel): void {
  for (const node of model.nodes) message(w, 1, (inner) => nodeProto(inner, node))
  text(w, 2, model.graphName)
  for (const initializer of model.initializers) message(w, 5, (inner) => tensorProto(inner, initializer))
  for (const input of model.inputs) message(w, 11, (inner) => valueInfoProto(inner, input))
  for (const output of model.outputs) message(w, 12, (inner) => valueInfoProto(inner, output))
}

function nodeProto(w: Writer, node: OnnxNode): void {
  for (const input of node.inputs) text(w, 1, input)
  for (const output of node.outputs) text(w, 2, output)
  text(w, 3, node.name)
  text(w, 4, node.opType)
  for (const [name, value] of Object.entries(node.attributes))
    message(w, 5, (inner) => attributeProto(inner, name, value))
  if (node.domain) text(w, 7, node.domain)
}

function attributeProto(w: Writer, name: string, value: OnnxAttribute): void {
  text(w, 1, name)
  if (typeof value === 'number') {
    integer(w, 3, value)
    integer(w, 20, 2)
  } else if (typeof value === 'string') {
    text(w, 4, value)
    integer(w, 20, 3)
  } else if ('float' in value) {
    w.uint32(tag(2, FIXED32)).float(value.float)
    integer(w, 20, 1)
  } else if ('tensor' in value) {
    const { dtype, shape, data } = value.tensor
    message(w, 5, (inner) => tensorProto(inner, { name: '', dtype, shape, data: bytesOf(data) }))
    integer(w, 20, 4)
  } else {
    for (const item of value) integer(w, 8, item)
    integer(w, 20, 7)
  }
}

function tensorProto(w: Writer, { name, dtype, shape, data }: OnnxInitializer): void {
  for (const dimension of shape) integer(w, 1, dimension)
  integer(w, 2, DATA_TYPE[dtype])
  text(w, 8, name)
  if (data instanceof Uint8Array) {
    w.uint32(tag(9, LENGTH_DELIMITED)).bytes(data)
    return
  }
  for (const [key, value] of Object.entries(data)) {
    message(w, 13, (inner) => {
      text(inner, 1, key)
      text(inner, 2, String(value))
    })
  }
  integer(w, 14, 1)
}

function valueInfoProto(w: Writer, { name, dtype, shape }: OnnxValueInfo): void {
  text(w, 1, name)
  message(w, 2, (type) =>
    message(type, 1, (tensorType) => {
      integer(tensorType, 1, DATA_TYPE[dtype])
      message(tensorType, 2, (shapeProto) => {
        for (const [axis, dimension] of shape.entries()) {
          // A dimension of a name of its own, which is nothing else's.
          message(shapeProto, 1, (w) =>
            dimension === DYNAMIC ? text(w, 2, `${name}/${axis}`) : integer(w, 1, dimension),
          )
        }
      })
    }),
  )
}

function tag(field: number, wireType: number): number {
  return (field << 3) | wireType
}

function integer(w: Writer, field: number, value: number): void {
  w.uint32(tag(field, VARINT)).int64(value)
}

function text(w: Writer, field: number, value: string): void {
  w.uint32(tag(field, LENGTH_DELIMITED)).string(value)
}

function message(w: Writer, field: number, write: (writer: Writer) => void): void {
  w.uint32(tag(field, LENGTH_DELIMITED)).fork()
  write(w)
  w.ldelim()
}
