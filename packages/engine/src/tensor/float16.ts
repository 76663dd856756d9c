const view = new DataView(new ArrayBuffer(4))

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

// 65,536 entries (256 KB): one look-up an element, about 40 times faster than the arithmetic.
let halfTable: Float32Array | undefined

/** IEEE 754 half-precision bits to float32, exactly. Writes into `out` when given. */
export function float16ToFloat32(bits: Uint16Array, out: Float32Array = new Float32Array(bits.length)): Float32Array {
  halfTable ??= Float32Array.from({ length: 65_536 }, (_, i) => halfToFloat(i))
  for (let i = 0; i < bits.length; i++) out[i] = halfTable[bits[i] as number] as number
  return out
}

/** bfloat16 bits (the upper half of a float32) to float32, exactly. Writes into `out` when given. */
export function bfloat16ToFloat32(bits: Uint16Array, out: Float32Array = new Float32Array(bits.length)): Float32Array {
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length)
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16
  return out
}

/** float32 to half-precision bits, round to nearest even, overflow to infinity. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, floatToHalf)
}

function floatToHalf(value: number): number {
  view.setFloat32(0, value)
  const word = view.getUint32(0)
  const sign = (word >>> 16) & 0x8000
  const magnitude = word & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x47800000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Subnormal half: |value| / 2^-24, and JavaScript rounds the quotient's tie to even by hand.
    const scaled = Math.abs(value) * 2 ** 24
    const floor = Math.floor(scaled)
    const rest = scaled - floor
    return sign | (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor)
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

export type Float8Format = 'e4m3fn' | 'e5m2'

const float8Tables = new Map<Float8Format, Float32Array>()

/**
 * 8-bit floats to float32, exactly: e4m3fn (bias 7, no infinities, NaN where all bits but the sign are set) and e5m2 (the upper half of a
 * half) of "FP8 Formats for Deep Learning" (Micikevicius et al. 2022), as torch.float8_e4m3fn and torch.float8_e5m2 have them.
 */
export function float8ToFloat32(bits: Uint8Array, format: Float8Format): Float32Array {
  const decode = format === 'e5m2' ? (byte: number) => halfToFloat(byte << 8) : e4m3ToFloat
  const table = float8Tables.get(format) ?? Float32Array.from({ length: 256 }, (_, byte) => decode(byte))
  float8Tables.set(format, table)
  return Float32Array.from(bits, (byte) => table[byte] as number)
}

function e4m3ToFloat(byte: number): number {
  const sign = byte & 0x80 ? -1 : 1
  const exponent = (byte >> 3) & 0xf
  const fraction = byte & 7
  if (exponent === 0xf && fraction === 7) return Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -9
  return sign * (1 + fraction / 8) * 2 ** (exponent - 7)
}
