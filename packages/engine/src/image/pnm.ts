/** Reads Netpbm's pictures P1 to P6 (pbm, pgm, ppm; as text and binary): http://netpbm.sourceforge.net/doc/ */

import { defined } from '../tensor/defined.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import type { RgbImage } from './rgb-image.ts'

interface PnmHeader {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
  readonly isText: boolean
  /** The value of white; 1 where a sample is a bit, of which 1 is black. */
  readonly largest: number
  readonly isBitmap: boolean
  /** Where the samples begin. */
  readonly start: number
}

const isBlank = (byte: number | undefined) => byte !== undefined && (byte === 32 || (byte >= 9 && byte <= 13))

/** Width and height that a file announces. @throws Error for a damaged header */
export function pnmSize(file: Uint8Array): { width: number; height: number } {
  const { width, height } = readHeader(file)
  return { width, height }
}

/** @throws Error when the file is damaged or cut off */
export function decodePnm(file: Uint8Array): RgbImage {
  const header = readHeader(file)
  const { width, height, channels, largest, isBitmap } = header
  const samples = header.isText ? textSamples(file, header) : binarySamples(file, header)
  const byteOf = isBitmap
    ? (value: number) => (value ? 0 : 255)
    : (value: number) => (largest === 255 ? value : Math.min(255, roundHalfEven((value / largest) * 255)))
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i++) {
    data[i] = byteOf(defined(samples[channels === 3 ? i : Math.floor(i / 3)]))
  }
  return { width, height, data }
}

function readHeader(file: Uint8Array): PnmHeader {
  const kind = defined(file[1]) - 48
  const isBitmap = kind === 1 || kind === 4
  let position = 2
  const number = () => {
    const token = nextNumber(file, position)
    position = token.end
    return token.value
  }
  const [width, height, largest] = [number(), number(), isBitmap ? 1 : number()]
  if (width < 1 || height < 1) throw new Error(`its size is ${width}x${height}`)
  if (largest < 1 || largest > 65535) throw new Error(`its largest value is ${largest}`)
  return {
    width,
    height,
    channels: kind === 3 || kind === 6 ? 3 : 1,
    isText: kind <= 3,
    largest,
    isBitmap,
    // One blank parts the header from the samples.
    start: position + 1,
  }
}

/** The next number after blanks and comments, which go from # to the end of the line. */
function nextNumber(file: Uint8Array, from: number): { value: number; end: number } {
  let at = from
  for (; isBlank(file[at]) || file[at] === 35; at++) {
    if (file[at] === 35) while (at < file.length && file[at] !== 10 && file[at] !== 13) at++
  }
  let [value, end] = [0, at]
  for (; end < at + 9; end++) {
    const digit = (file[end] ?? 0) - 48
    if (!(digit >= 0 && digit <= 9)) break
    value = value * 10 + digit
  }
  if (end === at) throw new Error('a number is missing')
  return { value, end }
}

function textSamples(file: Uint8Array, header: PnmHeader): Uint16Array | Uint8Array {
  const count = header.width * header.height * header.channels
  // Each sample is a character at least: a file that announces more is refused before memory is taken for it.
  if (header.start + count > file.length + 1) throw new Error('its end is missing')
  if (header.isBitmap) return textBits(file, header.start, count)
  const samples = new Uint16Array(count)
  let position = header.start
  for (let i = 0; i < count; i++) {
    const token = nextNumber(file, position)
    samples[i] = token.value
    position = token.end
  }
  return samples
}

/** Digits that need no blanks between them. */
function textBits(file: Uint8Array, start: number, count: number): Uint8Array {
  const samples = new Uint8Array(count)
  let found = 0
  for (let at = start; found < count; at++) {
    const byte = file[at]
    if (byte === undefined) throw new Error('its end is missing')
    if (byte === 48 || byte === 49) samples[found++] = byte - 48
    else if (byte === 35) while (at + 1 < file.length && file[at + 1] !== 10) at++
    else if (!isBlank(byte)) throw new Error('a bit is neither 0 nor 1')
  }
  return samples
}

function binarySamples(file: Uint8Array, { width, height, channels, largest, isBitmap, start }: PnmHeader) {
  if (isBitmap) return bits(file, width, height, start)
  const count = width * height * channels
  const bytes = largest > 255 ? 2 : 1
  if (start + count * bytes > file.length) throw new Error('its end is missing')
  if (bytes === 1) return file.subarray(start, start + count)
  const samples = new Uint16Array(count)
  for (let i = 0; i < count; i++) {
    samples[i] = (defined(file[start + i * 2]) << 8) | defined(file[start + i * 2 + 1])
  }
  return samples
}

/** Eight to a byte, each row in whole bytes. */
function bits(file: Uint8Array, width: number, height: number, start: number): Uint8Array {
  const stride = Math.ceil(width / 8)
  if (start + stride * height > file.length) throw new Error('its end is missing')
  const samples = new Uint8Array(width * height)
  for (let row = 0, to = 0; row < height; row++) {
    const from = start + row * stride
    for (let x = 0; x < width; x++) samples[to++] = (defined(file[from + (x >> 3)]) >> (7 - (x & 7))) & 1
  }
  return samples
}
