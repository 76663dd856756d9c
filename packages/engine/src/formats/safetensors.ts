/**
 * Reads and writes safetensors files (https://github.com/huggingface/safetensors, "Format"): an unsigned 64-bit little-endian header
 * length, a JSON header, then the tensors' bytes, row-major and little-endian. Reading takes the header only.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { endianness } from 'node:os'
import { bytesOf, elementCount, type FloatTensor, type Shape, type Tensor } from '../tensor/tensor.ts'
import {
  ELEMENT_BYTES,
  type ElementType,
  readBytes,
  readEntry,
  type TensorEntry,
  type WeightFile,
} from './stored-tensor.ts'
import { WeightFileError } from './weight-file-error.ts'

/** A header longer than this is a damaged length field: SDXL's has 300 KB, and trainers add some megabytes of notes. */
const MAX_HEADER_BYTES = 32 * 2 ** 20

/**
 * Reads the header and checks it against the file's size: every tensor lies inside the file, none overlap, and together they
 * fill it, as the reference implementation demands.
 * @throws WeightFileError for a file that is truncated or no safetensors file
 */
export async function readSafetensors(path: string): Promise<WeightFile> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const prefix = await readBytes(handle, 0, Math.min(size, 64))
    const headerBytes = headerLength(path, size, prefix)
    const header = await readBytes(handle, 8, headerBytes)
    return parseHeader(path, size, header)
  } finally {
    await handle.close()
  }
}

function headerLength(path: string, size: number, prefix: Uint8Array): number {
  if (size === 0) throw new WeightFileError(path, 'the file is empty (0 bytes); download it again')
  const foreign = foreignFormat(Buffer.from(prefix).toString('latin1'))
  if (foreign) throw new WeightFileError(path, foreign)
  if (size < 8) throw new WeightFileError(path, `the file has ${size} bytes, too few for a header; download it again`)
  const length = Number(Buffer.from(prefix).readBigUInt64LE(0))
  if (length > MAX_HEADER_BYTES)
    throw new WeightFileError(path, 'this is no safetensors file: its header has no length; download it again')
  if (length > size - 8) {
    throw new WeightFileError(
      path,
      `the header needs ${length} bytes and the file ends after ${size - 8}; this looks like a truncated download; download it again`,
    )
  }
  return length
}

function foreignFormat(start: string): string | undefined {
  if (start.startsWith('version https://git-lfs')) {
    return 'this is a Git LFS pointer, not the file; run `git lfs pull` in its repository'
  }
  if (/^\s*<(!doctype|html|\?xml)/i.test(start)) {
    return 'this is a web page, not a safetensors file; the download was answered with an error page'
  }
  return undefined
}

function parseHeader(path: string, size: number, bytes: Uint8Array): WeightFile {
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new WeightFileError(path, 'the header is not JSON: the file is damaged or no safetensors file', cause)
  }
  if (!isRecord(header)) throw new WeightFileError(path, 'the header is no JSON object: this is no safetensors file')
  const dataStart = 8 + bytes.length
  const entries: [string, TensorEntry][] = []
  for (const [key, entry] of Object.entries(header)) {
    if (key !== '__metadata__') entries.push([key, parseEntry(path, key, entry, dataStart)])
  }
  entries.sort(([, a], [, b]) => a.offset - b.offset || a.length - b.length)
  checkLayout(path, size, dataStart, entries)
  return { path, size, tensors: new Map(entries), metadata: parseMetadata(path, header.__metadata__) }
}

function parseEntry(path: string, key: string, entry: unknown, dataStart: number): TensorEntry {
  const fail = (problem: string) => new WeightFileError(path, `${key}: ${problem}`)
  if (!isRecord(entry)) throw fail('its header entry is no object')
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype))
    throw fail(`unknown element type ${JSON.stringify(dtype)}`)
  if (!isSizes(shape)) throw fail(`its shape ${JSON.stringify(shape)} is no list of sizes`)
  if (!isSizes(offsets) || offsets.length !== 2)
    throw fail(`its offsets ${JSON.stringify(offsets)} are no pair of numbers`)
  const [begin, end] = offsets as [number, number]
  const length = elementCount(shape) * ELEMENT_BYTES[dtype as ElementType]
  if (end - begin !== length) {
    throw fail(`${dtype} [${shape}] takes ${length} bytes, the header gives it ${end - begin}; the file is damaged`)
  }
  return { dtype: dtype as ElementType, shape, offset: dataStart + begin, length }
}

function checkLayout(path: string, size: number, dataStart: number, entries: [string, TensorEntry][]): void {
  let [end, previous] = [dataStart, 'the header']
  for (const [key, { offset, length }] of entries) {
    if (offset + length > size) {
      throw new WeightFileError(
        path,
        `${key} should end at byte ${offset + length} and the file has ${size}; this looks like a truncated download; download it again`,
      )
    }
    if (offset < end) throw new WeightFileError(path, `${key} overlaps ${previous}; the file is damaged`)
    if (offset > end) throw new WeightFileError(path, `${offset - end} stray bytes before ${key}; the file is damaged`)
    ;[end, previous] = [offset + length, key]
  }
  if (end !== size) {
    throw new WeightFileError(
      path,
      `${size - end} stray bytes after ${previous}; the file is damaged or joined to another`,
    )
  }
}

function parseMetadata(path: string, metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {}
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new WeightFileError(path, '__metadata__ must map strings to strings')
  }
  return metadata as Record<string, string>
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0)
}

/**
 * One tensor of a file as float32, whatever it is stored as (int64 beyond 2^24 and float64 are rounded).
 * @throws WeightFileError when the key is not there or the file has shrunk since its header was read
 */
export async function readTensor(file: WeightFile, key: string): Promise<FloatTensor> {
  const entry = file.tensors.get(key)
  if (!entry) throw new WeightFileError(file.path, `there is no tensor ${key}`)
  try {
    return await readEntry(file.path, entry)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new WeightFileError(file.path, `${key}: ${reason}`, cause)
  }
}

const WRITTEN: Readonly<Record<Tensor['dtype'], ElementType>> = {
  float32: 'F32',
  float16: 'F16',
  int64: 'I64',
  int32: 'I32',
  uint8: 'U8',
  int8: 'I8',
  bool: 'BOOL',
}

/** The place of one tensor in a file that is about to be written. */
export interface SafetensorsPlan {
  readonly header: Uint8Array
  /** Absolute offsets, in the order the bytes must be written in. */
  readonly tensors: ReadonlyMap<string, TensorEntry>
  /** Bytes of the whole file. */
  readonly size: number
}

/** Lays a file out before its bytes exist, so that tensors can be written one after another. The data starts 8-byte aligned. */
export function planSafetensors(
  tensors: Iterable<readonly [key: string, { readonly dtype: Tensor['dtype']; readonly shape: Shape }]>,
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsPlan {
  const entries: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {}
  const planned = new Map<string, TensorEntry>()
  let end = 0
  for (const [key, { dtype, shape }] of tensors) {
    const stored = WRITTEN[dtype]
    const length = elementCount(shape) * ELEMENT_BYTES[stored]
    entries[key] = { dtype: stored, shape, data_offsets: [end, end + length] }
    planned.set(key, { dtype: stored, shape, offset: end, length })
    end += length
  }
  const header = encodeHeader(JSON.stringify(entries))
  const moved = [...planned].map(([key, t]) => [key, { ...t, offset: t.offset + header.length }] as const)
  return { header, tensors: new Map(moved), size: header.length + end }
}

function encodeHeader(json: string): Uint8Array {
  const text = Buffer.from(json)
  const padded = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ')
  padded.writeBigUInt64LE(BigInt(padded.length - 8), 0)
  text.copy(padded, 8)
  return padded
}

/** The bytes of a file with these tensors. */
export function encodeSafetensors(tensors: Readonly<Record<string, Tensor>>): Uint8Array {
  requireLittleEndian()
  const plan = planSafetensors(Object.entries(tensors))
  const parts = [plan.header, ...Object.values(tensors).map(({ data }) => bytesOf(data))]
  return Buffer.concat(parts, plan.size)
}

function requireLittleEndian(): void {
  if (endianness() === 'BE') throw new Error('safetensors files are little-endian; this machine is not')
}

/** Writes tensors to a file that must not matter until this resolves (not atomic). */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  requireLittleEndian()
  const plan = planSafetensors(Object.entries(tensors), metadata)
  const handle = await open(path, 'w')
  try {
    await writeBytes(handle, plan.header)
    for (const { data } of Object.values(tensors)) await writeBytes(handle, data)
  } finally {
    await handle.close()
  }
}

/** Appends bytes at the handle's position, in pieces that the operating system takes whole. */
export async function writeBytes(handle: FileHandle, data: ArrayBufferView): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(2 ** 30, bytes.length - done))
    done += bytesWritten
  }
}
