/**
 * Reads what goes into and comes out of a ready-made `.onnx` file (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) without
 * reading its weights: nodes and tensors are stepped over, so a file of 260 MB costs a few hundred small reads.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { basename } from 'node:path'
import protobuf from 'protobufjs/minimal.js'
import { EngineError } from '../errors/engine-error.ts'
import { type DType, DYNAMIC, type Shape } from '../tensor/tensor.ts'
import type { OnnxValueInfo } from './onnx.ts'

/** A model as its makers exported it. Shapes hold `DYNAMIC` where the size is known only when the model runs. */
export interface OnnxFile {
  readonly path: string
  /** The file's name without its ending, for messages. */
  readonly name: string
  /** Bytes of the file. */
  readonly size: number
  /** Changes when the file does: path, size and time of change. */
  readonly identity: string
  /** What has to be fed: inputs that are initializers too, as files of before 2019 list them, are left out. */
  readonly inputs: readonly OnnxValueInfo[]
  readonly outputs: readonly OnnxValueInfo[]
}

/** A file that is no ONNX model, is cut off, or is another model than the one it was taken for: the message has its name, not its place. */
export class OnnxFileError extends EngineError {
  override readonly name = 'OnnxFileError'
  readonly kind = 'model'
}

const DTYPES: Readonly<Record<number, DType>> = {
  1: 'float32',
  2: 'uint8',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
}

/** Field numbers of the specification. */
const MODEL_GRAPH = 7
const GRAPH = { initializer: 5, input: 11, output: 12 } as const
const TENSOR_NAME = 8

const LENGTH_DELIMITED = 2
/** Bytes of fixed-width fields, by wire type. */
const FIXED_BYTES: Readonly<Record<number, number>> = { 1: 8, 5: 4 }

/** A value's description is this long at most; more is a damaged length. */
const MAX_VALUE_INFO_BYTES = 1_000_000

/**
 * Opens a model file. Nothing is kept open.
 * @throws OnnxFileError; the system's error when the file cannot be read
 */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const handle = await open(path, 'r')
  try {
    const { size, mtimeMs } = await handle.stat()
    const ports = await readPorts(new FileWindow(basename(path), handle, size), size)
    const name = basename(path).replace(/\.onnx$/i, '')
    return { path, name, size, identity: `${path} ${size} ${mtimeMs}`, ...ports }
  } finally {
    await handle.close()
  }
}

async function readPorts(file: FileWindow, size: number): Promise<Pick<OnnxFile, 'inputs' | 'outputs'>> {
  const inputs: OnnxValueInfo[] = []
  const outputs: OnnxValueInfo[] = []
  const initializers = new Set<string>()
  for await (const model of fields(file, 0, size)) {
    if (model.field !== MODEL_GRAPH) continue
    for await (const { field, start, end } of fields(file, model.start, model.end)) {
      if (field === GRAPH.initializer) initializers.add(await tensorName(file, start, end))
      else if (field === GRAPH.input) inputs.push(valueInfo(file.label, await file.bytes(start, end)))
      else if (field === GRAPH.output) outputs.push(valueInfo(file.label, await file.bytes(start, end)))
    }
  }
  if (outputs.length === 0) throw new OnnxFileError(`${file.label} is no ONNX model: it has no outputs`)
  return { inputs: inputs.filter(({ name }) => !initializers.has(name)), outputs }
}

/** A field of a message: where its content lies. */
interface Field {
  readonly field: number
  readonly start: number
  readonly end: number
}

/** The fields of the message at `start … end-1`, each stepped over. */
async function* fields(file: FileWindow, start: number, end: number): AsyncGenerator<Field> {
  let position = start
  while (position < end) {
    const tag = await file.varint(position)
    const wireType = tag.value % 8
    const content = tag.end
    let last = content + (FIXED_BYTES[wireType] ?? 0)
    let first = content
    if (wireType === 0) last = (await file.varint(content)).end
    else if (wireType === LENGTH_DELIMITED) {
      const length = await file.varint(content)
      first = length.end
      last = first + length.value
    } else if (last === content) throw new OnnxFileError(`${file.label} is no ONNX model`)
    if (last > end) throw new OnnxFileError(`${file.label} is no ONNX model, or its end is missing`)
    yield { field: Math.floor(tag.value / 8), start: first, end: last }
    position = last
  }
}

async function tensorName(file: FileWindow, start: number, end: number): Promise<string> {
  for await (const part of fields(file, start, end)) {
    if (part.field === TENSOR_NAME) return Buffer.from(await file.bytes(part.start, part.end)).toString('utf8')
  }
  return ''
}

/** ValueInfoProto: name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1 { dim_value = 1 } } } }. */
function valueInfo(label: string, bytes: Uint8Array): OnnxValueInfo {
  let name = ''
  let code = 0
  const shape: number[] = []
  try {
    eachField(bytes, (field, reader) => {
      if (field === 1) name = reader.string()
      else if (field === 2) eachField(reader.bytes(), tensorType)
      else return false
      return true
    })
  } catch (cause) {
    throw new OnnxFileError(`${label} is no ONNX model: a value's description is damaged`, { cause })
  }
  function tensorType(outer: number, typeReader: protobuf.Reader): boolean {
    if (outer !== 1) return false
    eachField(typeReader.bytes(), (field, reader) => {
      if (field === 1) code = reader.int32()
      else if (field === 2) shape.push(...dimensions(reader.bytes()))
      else return false
      return true
    })
    return true
  }
  const dtype = DTYPES[code]
  if (!dtype) throw new OnnxFileError(`${label}: ${name} has ONNX's element type ${code}, which is not supported`)
  return { name, dtype, shape }
}

function dimensions(bytes: Uint8Array): Shape {
  const shape: number[] = []
  eachField(bytes, (field, reader) => {
    if (field !== 1) return false
    let size = DYNAMIC
    eachField(reader.bytes(), (inner, dimension) => {
      if (inner !== 1) return false
      const value = Number(dimension.int64())
      // Exporters write 0 or −1 where they mean any size.
      size = value > 0 ? value : DYNAMIC
      return true
    })
    shape.push(size)
    return true
  })
  return shape
}

/** Calls `visit` for each field, which reads the content or returns false to have it stepped over. */
function eachField(bytes: Uint8Array, visit: (field: number, reader: protobuf.Reader) => boolean): void {
  const reader = protobuf.Reader.create(bytes)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (!visit(tag >>> 3, reader)) reader.skipType(tag & 7)
  }
}

/** Reads a file by a window that moves forward. */
class FileWindow {
  /** The file's name. */
  readonly label: string
  readonly #handle: FileHandle
  readonly #size: number
  #start = 0
  #bytes = new Uint8Array(0)

  constructor(label: string, handle: FileHandle, size: number) {
    this.label = label
    this.#handle = handle
    this.#size = size
  }

  async bytes(start: number, end: number): Promise<Uint8Array> {
    if (end - start > MAX_VALUE_INFO_BYTES || end > this.#size) {
      throw new OnnxFileError(`${this.label} is no ONNX model, or its end is missing`)
    }
    if (start < this.#start || end > this.#start + this.#bytes.length) {
      const buffer = new Uint8Array(Math.min(Math.max(end - start, 16_384), this.#size - start))
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, start)
      this.#start = start
      this.#bytes = buffer.subarray(0, bytesRead)
    }
    return this.#bytes.subarray(start - this.#start, end - this.#start)
  }

  /** A number of up to 53 bits in base 128, and where it ends. */
  async varint(position: number): Promise<{ value: number; end: number }> {
    const bytes = await this.bytes(position, Math.min(position + 10, this.#size))
    let value = 0
    for (const [i, byte] of bytes.entries()) {
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) return { value, end: position + i + 1 }
    }
    throw new OnnxFileError(`${this.label} is no ONNX model, or its end is missing`)
  }
}
