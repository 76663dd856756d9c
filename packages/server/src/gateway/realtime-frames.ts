import { decode, encode } from '@msgpack/msgpack'
import { fieldError, WireError } from '../errors/errors.ts'
import { MAX_NESTING, MOST_VALUES } from '../protocol/json-parse.ts'
import { stringifyJson } from '../protocol/json-text.ts'
import { hasAtMostValues } from '../protocol/message-pack-values.ts'
import { type JsonInput, parseInput } from '../validation/json-input.ts'

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

/** @throws WireError 422 for a message that cannot be read */
export function decodeFrame({ data, binary }: Frame): FrameInput {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (!binary) {
    const json = parseText(new TextDecoder().decode(bytes))
    return { input: json, requestId: requestIdOf(json.value) }
  }
  if (!hasAtMostValues(bytes, MOST_VALUES)) {
    throw fieldError([], 'value_error.msgpack', `expected a message of at most ${MOST_VALUES} values, found more`)
  }
  const input = decodeMessagePack(bytes)
  if (isNestedDeeper(input, MAX_NESTING)) {
    throw fieldError([], 'value_error.msgpack', `expected a message nested at most ${MAX_NESTING} deep, found deeper`)
  }
  return { input, requestId: requestIdOf(input) }
}

/** As a body of HTTP, whose text beyond the limits is answered 400: a socket's messages have one status for what cannot be read. */
function parseText(text: string): JsonInput {
  try {
    return parseInput(text)
  } catch (error) {
    if (!(error instanceof WireError && error.status === 400)) throw error
    throw fieldError([], 'value_error.jsondecode', `the message cannot be read: ${error.message}`)
  }
}

function decodeMessagePack(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, { useBigInt64: true })
  } catch (error) {
    throw new WireError(422, [{ loc: ['body'], msg: UNREADABLE, type: 'value_error.msgpack' }], { cause: error })
  }
}

/** Level by level: what is nested too deep to be read would also be too deep for a recursion. */
function isNestedDeeper(value: unknown, most: number): boolean {
  let level = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > most) return true
    level = level.flatMap((each) => (Array.isArray(each) || isRecord(each) ? Object.values(each) : []))
  }
  return false
}

function requestIdOf(input: unknown): unknown {
  return isRecord(input) ? input.request_id : undefined
}

/** An output as a frame's payload: `Uint8Array` for MessagePack, string for JSON. */
export function encodeOutput(output: unknown, binary: boolean): Uint8Array | string {
  if (binary) return encode(withWideIntegers(withUrls(output)), { useBigInt64: true, ignoreUndefined: true })
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

/**
 * A picture that came as `content` has a data URI in `url` as well: fal's own realtime page draws the bytes, most other programs read
 * the URL whatever the frame's kind. It makes a frame 1.3 times larger again and costs a tenth of a millisecond.
 */
function withUrls(value: unknown): unknown {
  if (isRecord(value) && value.content instanceof Uint8Array && value.url === undefined) {
    return { url: pictureUri(value, value.content), ...value }
  }
  return mapMembers(value, withUrls)
}

/** JSON has no bytes: such a picture goes out with its data URI alone. */
function withDataUris(value: unknown): unknown {
  if (value instanceof Uint8Array) return dataUri(value, 'application/octet-stream')
  if (isRecord(value) && value.content instanceof Uint8Array) {
    const { content, ...rest } = value
    return { url: pictureUri(value, value.content), ...rest }
  }
  return mapMembers(value, withDataUris)
}

function pictureUri({ content_type: type }: Record<string, unknown>, content: Uint8Array): string {
  return dataUri(content, typeof type === 'string' ? type : 'application/octet-stream')
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
