import { decode, encode } from '@msgpack/msgpack'
import { WireError } from '../errors/errors.ts'
import { stringifyJson } from '../protocol/json-text.ts'
import { parseInput } from '../validation/validate-input.ts'

/** A message of a client: binary frames hold MessagePack, text frames JSON. Each is answered in its own kind. */
export interface Frame {
  readonly data: Uint8Array
  readonly binary: boolean
}

const UNREADABLE = 'the message is neither MessagePack in a binary frame nor JSON in a text frame'

export interface FrameInput {
  /** As `validateInput` takes it. */
  readonly input: unknown
  /** The input's own `request_id`, by which the client tells results apart. */
  readonly requestId: unknown
}

/** @throws WireError 400, 422 for a message that cannot be read */
export function decodeFrame({ data, binary }: Frame): FrameInput {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (!binary) {
    const json = parseInput(new TextDecoder().decode(bytes))
    return { input: json, requestId: requestIdOf(json.value) }
  }
  try {
    const input = decode(bytes, { useBigInt64: true })
    return { input, requestId: requestIdOf(input) }
  } catch (error) {
    throw new WireError(422, [{ loc: ['body'], msg: UNREADABLE, type: 'value_error.msgpack' }], { cause: error })
  }
}

function requestIdOf(input: unknown): unknown {
  return isRecord(input) ? input.request_id : undefined
}

/** An output as a frame's payload: `Uint8Array` for MessagePack, string for JSON. */
export function encodeOutput(output: unknown, binary: boolean): Uint8Array | string {
  if (binary) return encode(withWideIntegers(output), { useBigInt64: true, ignoreUndefined: true })
  return stringifyJson(withDataUris(output))
}

/**
 * Integers as MessagePack's integers of the size they need. With `useBigInt64` the encoder writes a number beyond 32 bits
 * as a float, which a Python client would hand on as one, and a bigint always as 64 bits.
 */
function withWideIntegers(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) && !fitsIn32Bits(value) ? BigInt(value) : value
  if (typeof value === 'bigint') return fitsIn32Bits(value) ? Number(value) : value
  return mapMembers(value, withWideIntegers)
}

function fitsIn32Bits(value: number | bigint): boolean {
  return value <= 0xffff_ffff && value >= -0x8000_0000
}

/** JSON has no bytes: a picture that came as `content` goes out as a data URI in `url`, as `sync_mode` has it. */
function withDataUris(value: unknown): unknown {
  if (value instanceof Uint8Array) return dataUri(value, 'application/octet-stream')
  if (isRecord(value) && value.content instanceof Uint8Array) {
    const { content, ...rest } = value
    const type = typeof value.content_type === 'string' ? value.content_type : 'application/octet-stream'
    return { url: dataUri(value.content, type), ...rest }
  }
  return mapMembers(value, withDataUris)
}

function dataUri(bytes: Uint8Array, type: string): string {
  return `data:${type};base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}`
}

function mapMembers(value: unknown, map: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(map)
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, map(member)]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}
