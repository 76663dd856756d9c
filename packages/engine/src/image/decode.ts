import sharp, { type Metadata } from 'sharp'
import { EngineError } from '../errors/engine-error.ts'
import { defined } from '../tensor/defined.ts'
import { bmpSize, decodeBmp, decodeIconBitmap, iconBitmapSize } from './bmp.ts'
import { greyToRgb } from './grey.ts'
import { largestIconPicture } from './icon.ts'
import { type InputFormat, imageFormat, isHeic } from './image-format.ts'
import { decodePnm, pnmSize } from './pnm.ts'
import type { RgbImage } from './rgb-image.ts'

/** What is read at most; a 109 KB PNG can hold 900 million pixels. */
const LARGEST_IMAGE_PIXELS = 64_000_000

/** A file that is no picture, is damaged or cut off, or holds too many pixels. */
export class ImageDecodeError extends EngineError {
  override readonly name = 'ImageDecodeError'
  readonly kind = 'picture'
  readonly reason: 'unreadable' | 'too_large'

  constructor(reason: 'unreadable' | 'too_large', message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/**
 * The picture in a JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP, ICO or PNM file, as Pillow's `ImageOps.exif_transpose(Image.open(file))
 * .convert('RGB')` gives it: turned as EXIF says, alpha dropped rather than composited, colour profiles ignored, the
 * first frame of an animation, the largest picture of an icon. 16-bit samples keep their high byte.
 *
 * Where this departs from Pillow: 16-bit grey is scaled (Pillow clips it to white), the see-through pixels of a GIF are
 * black (Pillow shows their palette entry), and the chroma of a 4:2:0 AVIF is enlarged by another filter.
 *
 * @throws ImageDecodeError
 */
export async function decodeImage(file: Uint8Array): Promise<RgbImage> {
  const own = OWN_DECODERS[requireFormat(file)]
  if (own) {
    await imagePixels(file)
    return readable(async () => own.decode(file))
  }
  const metadata = await readable(() => sharp(file, { limitInputPixels: false }).metadata())
  requireReadableSize(metadata)
  return readable(() => decodePixels(file, metadata))
}

/**
 * How many pixels the picture has that `decodeImage` would read, by what the file says of itself: three bytes each, decoded.
 * @throws ImageDecodeError where `decodeImage` would for the beginning of the file alone
 */
export async function imagePixels(file: Uint8Array): Promise<number> {
  const own = OWN_DECODERS[requireFormat(file)]
  const size = own
    ? await readable(async () => own.size(file))
    : await readable(() => sharp(file, { limitInputPixels: false }).metadata())
  return requireReadableSize(size)
}

function requireFormat(file: Uint8Array): InputFormat {
  const format = imageFormat(file)
  if (format !== undefined) return format
  const readable = 'JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP, ICO or PNM'
  const message = isHeic(file)
    ? `HEIC pictures are not read, because their codec is patented; send ${readable}`
    : `the file is no ${readable} picture`
  throw new ImageDecodeError('unreadable', message)
}

interface Size {
  readonly width: number
  readonly height: number
}

interface OwnDecoder {
  size(file: Uint8Array): Size | Promise<Size>
  decode(file: Uint8Array): RgbImage | Promise<RgbImage>
}

/** The formats that the codec library does not read. */
const OWN_DECODERS: Partial<Record<InputFormat, OwnDecoder>> = {
  bmp: { size: bmpSize, decode: decodeBmp },
  pnm: { size: pnmSize, decode: decodePnm },
  ico: {
    async size(file) {
      const { kind, data } = largestIconPicture(file)
      return kind === 'png' ? { width: await imagePixels(data), height: 1 } : iconBitmapSize(data)
    },
    decode(file) {
      const { kind, data } = largestIconPicture(file)
      return kind === 'png' ? decodeImage(data) : decodeIconBitmap(data)
    },
  },
}

/** @returns the number of pixels */
function requireReadableSize({ width, height }: Size): number {
  if (width * height <= LARGEST_IMAGE_PIXELS) return width * height
  throw new ImageDecodeError(
    'too_large',
    `the picture has ${width}x${height} pixels; at most ${LARGEST_IMAGE_PIXELS / 1e6} million are read`,
  )
}

async function decodePixels(file: Uint8Array, { space }: Metadata): Promise<RgbImage> {
  // failOn 'error': 'truncated' lets cut TIFF files pass, and 'warning' refuses blemishes that every viewer ignores.
  const pixels = sharp(file, { limitInputPixels: LARGEST_IMAGE_PIXELS, failOn: 'error', ignoreIcc: true }).autoOrient()
  const decoded =
    space === 'cmyk'
      ? pixels.pipelineColourspace('cmyk').toColourspace('cmyk')
      : pixels.toColourspace('srgb').removeAlpha()
  const { data: buffer, info } = await decoded.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  // A Buffer's `slice` shares memory where an Uint8Array's copies.
  const data = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  const size = { width: info.width, height: info.height }
  if (space === 'cmyk') return { ...size, data: cmykToRgb(data, info.channels) }
  return info.channels === 1 ? greyToRgb({ ...size, data }) : { ...size, data }
}

/** Pillow's conversion, which knows no inks: `(255 - C) * (255 - K) / 255`, rounded. */
function cmykToRgb(data: Uint8Array, channels: number): Uint8Array {
  const pixels = data.length / channels
  const rgb = new Uint8ClampedArray(pixels * 3)
  for (let i = 0; i < pixels; i++) {
    const light = 255 - defined(data[i * channels + 3])
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = light - divide255(defined(data[i * channels + c]) * light)
  }
  return new Uint8Array(rgb.buffer)
}

/** `product / 255` rounded, for products of two bytes. */
function divide255(product: number): number {
  const half = product + 128
  return ((half >> 8) + half) >> 8
}

async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    if (cause instanceof ImageDecodeError) throw cause
    const detail = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new ImageDecodeError('unreadable', `the picture is damaged or incomplete: ${detail}`, { cause })
  }
}
