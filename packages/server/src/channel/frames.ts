import { decode, decodeMulti, Encoder, ExtensionCodec } from '@msgpack/msgpack'
import { fieldError } from '../errors/errors.ts'
import type { ChannelEvent, ConversationOptions } from './direct-channel.ts'
import { type LongValue, LongValueReference, LongValues, withoutLongValues } from './long-values.ts'

/**
 * Frames of the direct channel, each one a MessagePack array; a binary WebSocket message holds one or more. Conversations and
 * works are numbered by the gateway; work numbers are unique within a socket.
 */
export type GatewayFrame =
  | readonly ['open', conversation: number, options: ConversationOptions]
  /** A part of a long text or byte string of the input that comes with `send` under the same work's number. */
  | readonly ['piece', work: number, value: number, piece: LongValue]
  /** The input is encoded on its own, so one that cannot be read spoils its work and not the socket. */
  | readonly ['send', conversation: number, work: number, input: Uint8Array]
  | readonly ['cancel', work: number]
  /** The reader took one `partial`: the runner may send another. */
  | readonly ['ack', work: number]
  | readonly ['close', conversation: number]

export type RunnerFrame =
  | readonly ['event', work: number, event: ChannelEvent]
  /** The runner is going: send it nothing new, and hang up when what it holds is done. */
  | readonly ['draining']

/** The WebSocket subprotocol: two builds that do not understand each other fail at the handshake. */
export const CHANNEL_PROTOCOL = 'darkroom.channel.1'

/** Largest frame either side takes: inputs hold images as data URIs or bytes, realtime outputs hold pictures. */
export const MAX_FRAME_BYTES = 256 * 1024 * 1024

const MAX_DEPTH = 512
const BIGINT_EXTENSION = 1
const LONG_VALUE_EXTENSION = 2

/**
 * bigint travels as its decimal digits: MessagePack's own 64-bit integers would silently wrap a JSON integer of any
 * greater size, and the validation that must refuse such a number runs behind the channel.
 */
const extensionCodec = new ExtensionCodec<LongValues>()
extensionCodec.register({
  type: BIGINT_EXTENSION,
  encode: (value) => (typeof value === 'bigint' ? Buffer.from(value.toString(), 'latin1') : null),
  decode: (bytes) => BigInt(Buffer.from(bytes).toString('latin1')),
})

// The context of a decoder is where the input's long values are.
extensionCodec.register({
  type: LONG_VALUE_EXTENSION,
  encode: (value) => (value instanceof LongValueReference ? Buffer.from(String(value.index), 'latin1') : null),
  decode: (bytes, _, values) => values.at(new LongValueReference(Number(Buffer.from(bytes).toString('latin1')))),
})

const OPTIONS = { extensionCodec, context: new LongValues(), ignoreUndefined: true, maxDepth: MAX_DEPTH }

/** An encoder keeps a buffer as large as the largest value it has met: one that met a picture is not kept. */
const LARGEST_KEPT_BUFFER = 1024 * 1024
let encoder = new Encoder(OPTIONS)

function encode(value: unknown): Uint8Array {
  const bytes = encoder.encode(value)
  if (bytes.byteLength > LARGEST_KEPT_BUFFER) encoder = new Encoder(OPTIONS)
  return bytes
}

export function encodeFrame(frame: GatewayFrame | RunnerFrame): Uint8Array {
  return encode(frame)
}

/** @throws when the bytes are no frames: the peer speaks something else and the socket is of no use */
export function* decodeFrames<F extends GatewayFrame | RunnerFrame>(message: Uint8Array): Generator<F> {
  for (const frame of decodeMulti(plainBytes(message), OPTIONS)) {
    if (!Array.isArray(frame) || typeof frame[0] !== 'string') {
      throw new Error('Expected frames of the direct channel (MessagePack arrays), found something else')
    }
    yield frame as unknown as F
  }
}

/** An input as it is sent: long values by themselves, for one of many megabytes would take the event loop as many times its milliseconds. */
export interface EncodedInput {
  readonly bytes: Uint8Array
  readonly long: readonly LongValue[]
}

/** @throws WireError 422 when the input nests too deep to be any endpoint's */
export function encodeInput(input: unknown): EncodedInput {
  const { input: short, long } = withoutLongValues(input)
  return { bytes: encodeShort(short), long }
}

function encodeShort(input: unknown): Uint8Array {
  const bytes = encodeNested(input)
  // MessagePack's decoder refuses this key outright; as an unknown field it must be ignored like any other.
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('__proto__')
    ? encodeNested(withoutProtoKeys(input))
    : bytes
}

/** @param long values that came before; the input's references lead there */
export function decodeInput(bytes: Uint8Array, long: LongValues = new LongValues()): unknown {
  return decode(plainBytes(bytes), { ...OPTIONS, context: long })
}

/** A Buffer's slices are Buffers, and so would be every byte string decoded from it. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function encodeNested(input: unknown): Uint8Array {
  try {
    return encode(input)
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('Too deep')) throw error
    throw fieldError([], 'value_error', `the input is nested deeper than ${MAX_DEPTH} levels`)
  }
}

function withoutProtoKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutProtoKeys)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '__proto__')
      .map(([key, member]) => [key, withoutProtoKeys(member)]),
  )
}
