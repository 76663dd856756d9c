import { imagePixels, type PictureThread, type RgbImage } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { fieldError } from '../errors/errors.ts'
import { toWireError } from './engine-errors.ts'
import type { PictureSize } from './picture-size.ts'

type Field = readonly (string | number)[]

/** Of an engine what reads pictures. */
export interface PictureReader {
  readonly pictures: Pick<PictureThread, 'decode'>
}

/** A picture that an input names, or carries. */
export interface WantedPicture {
  readonly field: Field
  readonly source: string | Uint8Array
}

/** The pictures of a request by the fields that named them. */
export class InputPictures {
  readonly #pictures: ReadonlyMap<string, RgbImage>

  constructor(pictures: ReadonlyMap<string, RgbImage>) {
    this.#pictures = pictures
  }

  at(...field: Field): RgbImage {
    const picture = this.find(...field)
    if (picture === undefined) throw new Error(`${field.join('.')} was not read`)
    return picture
  }

  find(...field: Field): RgbImage | undefined {
    return this.#pictures.get(nameOf(field))
  }
}

const nameOf = (field: Field) => field.join('.')

/** Pixels of all pictures of one request: two of the largest, or thirty-two of four million. */
const MOST_PIXELS = 128_000_000
const BYTES_PER_PIXEL = 3

/**
 * Reads all pictures of a request: fetches them at once, one for each URL, asks for the memory that they take together, and decodes.
 * @throws WireError 422 naming the field
 */
export async function readPictures(
  { pictures }: PictureReader,
  wanted: readonly WantedPicture[],
  context: Pick<HandlerContext, 'readFile' | 'reserveMemory'>,
): Promise<InputPictures> {
  const files = await fetchEach(wanted, context)
  let pixels = 0
  for (const [source, { field }] of firstNamed(wanted)) {
    pixels += await unlessUnreadable(field, () => imagePixels(files.get(source) as Uint8Array))
    if (pixels <= MOST_PIXELS) continue
    throw fieldError(
      field,
      'image_load_error',
      `the pictures of this request have more than ${MOST_PIXELS / 1e6} million pixels together; send smaller ones`,
    )
  }
  await context.reserveMemory(pixels * BYTES_PER_PIXEL)
  const decoded = new Map<string | Uint8Array, RgbImage>()
  for (const [source, { field }] of firstNamed(wanted)) {
    decoded.set(source, await unlessUnreadable(field, () => pictures.decode(files.get(source) as Uint8Array)))
  }
  return new InputPictures(new Map(wanted.map(({ field, source }) => [nameOf(field), decoded.get(source) as RgbImage])))
}

/** Each source once, with the field that names it first. */
function firstNamed(wanted: readonly WantedPicture[]): Map<string | Uint8Array, WantedPicture> {
  const first = new Map<string | Uint8Array, WantedPicture>()
  for (const picture of wanted) if (!first.has(picture.source)) first.set(picture.source, picture)
  return first
}

async function fetchEach(
  wanted: readonly WantedPicture[],
  { readFile }: Pick<HandlerContext, 'readFile'>,
): Promise<ReadonlyMap<string | Uint8Array, Uint8Array>> {
  const sources = [...firstNamed(wanted)]
  return new Map(
    await Promise.all(
      sources.map(
        async ([source, { field }]) =>
          [source, typeof source === 'string' ? await readFile(source, field) : source] as const,
      ),
    ),
  )
}

async function unlessUnreadable<T>(field: Field, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw toWireError(error, { image: field })
  }
}

/** The picture that an input field's URL leads to. */
export async function pictureFrom(
  reader: PictureReader,
  url: string,
  field: string,
  context: Pick<HandlerContext, 'readFile' | 'reserveMemory'>,
): Promise<RgbImage> {
  return (await readPictures(reader, [{ field: [field], source: url }], context)).at(field)
}

export interface PictureInput {
  readonly image_url?: string | undefined
  readonly image_bytes?: Uint8Array | null | undefined
}

/** The input picture: the bytes of a realtime frame, or what the URL leads to. */
export async function inputPicture(
  reader: PictureReader,
  input: PictureInput,
  context: HandlerContext,
): Promise<RgbImage> {
  const wanted = wantedInput(input)
  return (await readPictures(reader, [wanted], context)).at(...wanted.field)
}

/** The input picture and its mask. */
export async function maskedPicture(
  reader: PictureReader,
  input: PictureInput & { readonly mask_url: string },
  context: HandlerContext,
): Promise<{ readonly image: RgbImage; readonly mask: RgbImage }> {
  const wanted = wantedInput(input)
  const pictures = await readPictures(reader, [wanted, { field: ['mask_url'], source: input.mask_url }], context)
  return { image: pictures.at(...wanted.field), mask: pictures.at('mask_url') }
}

function wantedInput({ image_bytes: bytes, image_url: url }: PictureInput): WantedPicture {
  return bytes ? { field: ['image_bytes'], source: bytes } : { field: ['image_url'], source: url ?? '' }
}

const LARGEST_SIDE = 1024

/** Size of the answer to an input picture: its own, reduced to 1024 on the longer side, each side a multiple of 8. */
export function sizeOfInput({ width, height }: PictureSize): PictureSize {
  const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height))
  const side = (pixels: number) => Math.max(8, Math.floor((pixels * scale) / 8) * 8)
  return { width: side(width), height: side(height) }
}
