/** Reads Windows and OS/2 bitmaps (BITMAPCOREHEADER to BITMAPV5HEADER), and the bitmaps inside icons. */

import { defined } from '../tensor/defined.ts'
import type { RgbImage } from './rgb-image.ts'

/** Where each colour lies in a pixel. */
interface Mask {
  readonly shift: number
  readonly largest: number
}

interface BmpHeader {
  readonly width: number
  readonly height: number
  /** Rows lie from the top; mostly they lie from the bottom. */
  readonly isTopDown: boolean
  readonly bits: number
  readonly compression: number
  readonly masks: readonly [red: Mask, green: Mask, blue: Mask]
  /** RGB of each index; empty where pixels hold their colours. */
  readonly palette: Uint8Array
  readonly pixelOffset: number
}

const RLE8 = 1
const RLE4 = 2
const BITFIELDS = 3
const ALPHA_BITFIELDS = 6

const FILE_HEADER = 14

/** Pixels along a side. */
const LARGEST_ICON = 1024

/** A reader that throws RangeError beyond the end, which the caller takes for a damaged file. */
function viewOf(file: Uint8Array): DataView {
  return new DataView(file.buffer, file.byteOffset, file.byteLength)
}

/** Width and height that a bitmap file announces. @throws RangeError for a damaged header */
export function bmpSize(file: Uint8Array): { width: number; height: number } {
  const { width, height } = readHeader(viewOf(file), FILE_HEADER, viewOf(file).getUint32(10, true))
  return { width, height }
}

/**
 * The picture in a bitmap file, alpha dropped.
 * @throws RangeError or Error when the file is damaged or of a kind that is not read
 */
export function decodeBmp(file: Uint8Array): RgbImage {
  const view = viewOf(file)
  return decodePixels(file, readHeader(view, FILE_HEADER, view.getUint32(10, true)))
}

/** The picture of an icon: a bitmap without a file header, of twice the height because a mask follows. */
export function decodeIconBitmap(file: Uint8Array): RgbImage {
  return decodePixels(file, readIconHeader(file))
}

/** Width and height of the picture of an icon. @throws Error for a damaged header, or one of no icon */
export function iconBitmapSize(file: Uint8Array): { width: number; height: number } {
  const { width, height } = readIconHeader(file)
  return { width, height }
}

function readIconHeader(file: Uint8Array): BmpHeader {
  const header = readHeader(viewOf(file), 0, undefined)
  if (header.width > LARGEST_ICON || header.height > 2 * LARGEST_ICON) throw new Error('it is larger than icons are')
  return { ...header, height: Math.floor(header.height / 2) }
}

function readHeader(view: DataView, start: number, pixelOffset: number | undefined): BmpHeader {
  const headerSize = view.getUint32(start, true)
  const isCore = headerSize === 12
  if (!isCore && headerSize < 40) throw new Error(`a header of ${headerSize} bytes is not known`)
  const width = isCore ? view.getUint16(start + 4, true) : view.getInt32(start + 4, true)
  const signedHeight = isCore ? view.getUint16(start + 6, true) : view.getInt32(start + 8, true)
  const bits = view.getUint16(start + (isCore ? 10 : 14), true)
  const compression = isCore ? 0 : view.getUint32(start + 16, true)
  if (width <= 0 || signedHeight === 0) throw new Error(`its size is ${width}x${signedHeight}`)
  const hasMasks = compression === BITFIELDS || compression === ALPHA_BITFIELDS
  const masksAfter = hasMasks && headerSize === 40 ? (compression === BITFIELDS ? 12 : 16) : 0
  const paletteStart = start + headerSize + masksAfter
  const entryBytes = isCore ? 3 : 4
  const used = isCore ? 0 : view.getUint32(start + 32, true)
  const colours = bits <= 8 ? Math.min(used || 2 ** bits, 256) : 0
  return {
    width,
    height: Math.abs(signedHeight),
    isTopDown: signedHeight < 0,
    bits,
    compression,
    masks: hasMasks ? readMasks(view, start + 40) : defaultMasks(bits),
    palette: readPalette(view, paletteStart, colours, entryBytes),
    pixelOffset: pixelOffset ?? paletteStart + colours * entryBytes,
  }
}

function readMasks(view: DataView, at: number): BmpHeader['masks'] {
  const mask = (i: number) => maskOf(view.getUint32(at + 4 * i, true))
  return [mask(0), mask(1), mask(2)]
}

function defaultMasks(bits: number): BmpHeader['masks'] {
  return bits === 16 ? [maskOf(0x7c00), maskOf(0x3e0), maskOf(0x1f)] : [maskOf(0xff0000), maskOf(0xff00), maskOf(0xff)]
}

function maskOf(mask: number): Mask {
  const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask)
  return { shift, largest: mask >>> shift }
}

function readPalette(view: DataView, start: number, colours: number, entryBytes: number): Uint8Array {
  const palette = new Uint8Array(colours * 3)
  for (let i = 0; i < palette.length; i++) {
    palette[i] = view.getUint8(start + Math.floor(i / 3) * entryBytes + 2 - (i % 3))
  }
  return palette
}

function decodePixels(file: Uint8Array, header: BmpHeader): RgbImage {
  const { bits, compression } = header
  if (compression === RLE8 && bits === 8) return indexed(header, runLengths(file, header))
  if (compression === RLE4 && bits === 4) return indexed(header, runLengths(file, header))
  const isPlain = compression === 0 || ((compression === BITFIELDS || compression === ALPHA_BITFIELDS) && bits >= 16)
  if (isPlain && [1, 2, 4, 8].includes(bits)) return indexed(header, packedIndices(file, header))
  if (isPlain && [16, 24, 32].includes(bits)) return direct(file, header)
  throw new Error(`${bits} bits per pixel with compression ${compression} are not read`)
}

/** Rows from the top, whichever way they lie. */
function targetRow({ height, isTopDown }: BmpHeader, row: number): number {
  return isTopDown ? row : height - 1 - row
}

/** Bytes from one row to the next: whole groups of four. */
function strideOf({ width, bits }: BmpHeader): number {
  return Math.ceil((width * bits) / 32) * 4
}

function direct(file: Uint8Array, header: BmpHeader): RgbImage {
  const { width, height, bits, masks, pixelOffset } = header
  const view = viewOf(file)
  const rowBytes = Math.ceil((width * bits) / 8)
  if (pixelOffset + strideOf(header) * (height - 1) + rowBytes > file.length) throw new RangeError('its end is missing')
  const data = new Uint8Array(width * height * 3)
  for (let row = 0; row < height; row++) {
    let from = pixelOffset + row * strideOf(header)
    let to = targetRow(header, row) * width * 3
    for (let x = 0; x < width; x++, from += bits / 8) {
      const pixel =
        bits === 24 ? view.getUint16(from, true) | (view.getUint8(from + 2) << 16) : readPixel(view, from, bits)
      for (const { shift, largest } of masks) {
        data[to++] = largest === 0 ? 0 : Math.floor((((pixel >>> shift) & largest) * 255) / largest)
      }
    }
  }
  return { width, height, data }
}

function readPixel(view: DataView, at: number, bits: number): number {
  return bits === 16 ? view.getUint16(at, true) : view.getUint32(at, true)
}

/** Palette indices from the top left. */
function packedIndices(file: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height, bits, pixelOffset } = header
  const stride = strideOf(header)
  if (pixelOffset + stride * height > file.length) throw new RangeError('its end is missing')
  const perByte = 8 / bits
  const indices = new Uint8Array(width * height)
  for (let row = 0; row < height; row++) {
    const [from, to] = [pixelOffset + row * stride, targetRow(header, row) * width]
    for (let x = 0; x < width; x++) {
      const byte = defined(file[from + Math.floor(x / perByte)])
      indices[to + x] = (byte >> (8 - bits - (x % perByte) * bits)) & (2 ** bits - 1)
    }
  }
  return indices
}

/** Runs, literal stretches and jumps; what nothing is written to keeps index 0. */
function runLengths(file: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height, bits, pixelOffset } = header
  const view = viewOf(file)
  const indices = new Uint8Array(width * height)
  let [x, row] = [0, 0]
  const put = (index: number) => {
    if (x < width && row < height) indices[targetRow(header, row) * width + x] = index
    x++
  }
  const nibble = (byte: number, i: number) => (bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15)
  for (let at = pixelOffset; ; at += 2) {
    const [count, value] = [view.getUint8(at), view.getUint8(at + 1)]
    if (count > 0) for (let i = 0; i < count; i++) put(nibble(value, i))
    else if (value === 0) [x, row] = [0, row + 1]
    else if (value === 1) return indices
    else if (value === 2) {
      x += view.getUint8(at + 2)
      row += view.getUint8(at + 3)
      at += 2
    } else {
      const perByte = 8 / bits
      for (let i = 0; i < value; i++) put(nibble(view.getUint8(at + 2 + Math.floor(i / perByte)), i))
      at += Math.ceil(Math.ceil(value / perByte) / 2) * 2
    }
  }
}

/** Indices beyond the palette are black. */
function indexed({ width, height, palette }: BmpHeader, indices: Uint8Array): RgbImage {
  const data = new Uint8Array(width * height * 3)
  // A plain loop: 64 million pixels take 0.2 s so, and ten times that with a view of the palette for each.
  for (let i = 0, to = 0; i < indices.length; i++) {
    const from = defined(indices[i]) * 3
    data[to++] = palette[from] ?? 0
    data[to++] = palette[from + 1] ?? 0
    data[to++] = palette[from + 2] ?? 0
  }
  return { width, height, data }
}
