import { dirname, join } from 'node:path'
import { type JsonObject, readJsonObject } from '../checkpoint/json-file.ts'
import { ConfigFields, isFiniteNumber } from '../config/config-fields.ts'
import { type PixelValuesOptions, pixelValues, type Size } from '../image/pixel-values.ts'
import type { ResampleFilter } from '../image/resample-filter.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import type { FloatTensor } from '../tensor/tensor.ts'
import { type OnnxNetwork, openOnnxNetwork } from './onnx-network.ts'
import type { PictureThread } from './picture-thread.ts'

/** Where pictures are shrunk for the network, and its maps enlarged: both take time by the size of the picture. */
export type DepthPictures = Pick<PictureThread, 'resize' | 'depthImage'>

/** Tells how near each pixel is. */
export interface DepthEstimator {
  /** Of the picture's size, in three equal channels: white where it is nearest, black where it is farthest. */
  estimate(image: RgbImage, pictures: DepthPictures): Promise<RgbImage>
}

/** How pictures are prepared; transformers' DPTImageProcessor. */
interface DepthProcessor extends Omit<PixelValuesOptions, 'size' | 'crop'> {
  readonly size: Size
  readonly keepsProportions: boolean
  /** Sides are multiples of this. */
  readonly multiple: number
}

const CONFIG_NAME = 'preprocessor_config.json'

/** What a depth network is prepared for where no file says it. */
export type DepthNetwork = 'dpt' | 'depth-anything'

/** DPTImageProcessor's own, and what Depth-Anything's repositories say. */
const DEFAULTS: Readonly<Record<DepthNetwork, DepthProcessor>> = {
  dpt: {
    size: { width: 384, height: 384 },
    filter: 'bicubic',
    rescaleFactor: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    keepsProportions: false,
    multiple: 1,
  },
  'depth-anything': {
    size: { width: 518, height: 518 },
    filter: 'bicubic',
    rescaleFactor: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    keepsProportions: true,
    multiple: 14,
  },
}

/** Pillow's numbers of its filters. */
const FILTERS: readonly ResampleFilter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box']

/**
 * Opens a DPT or Depth-Anything network as an ONNX file; preprocessor_config.json beside it or one folder up says how pictures are
 * prepared, as in the hub's ONNX repositories.
 * @param kind whose preparation holds where there is no such file
 * @throws OnnxFileError, CheckpointError or ModelConfigError
 */
export async function openDepthEstimator(
  sessions: SessionCache,
  path: string,
  kind: DepthNetwork = 'dpt',
): Promise<DepthEstimator> {
  const network = await openOnnxNetwork(sessions, path, 'a depth network', 1)
  const folder = dirname(path)
  const json =
    (await readJsonObject(join(folder, CONFIG_NAME))) ?? (await readJsonObject(join(dirname(folder), CONFIG_NAME)))
  const processor = json ? parseProcessor(json) : DEFAULTS[kind]
  return { estimate: (image, pictures) => estimate(network, processor, image, pictures) }
}

function parseProcessor(json: JsonObject): DepthProcessor {
  const fields = new ConfigFields(CONFIG_NAME, json)
  for (const step of ['do_resize', 'do_rescale', 'do_normalize']) fields.refuse(step, true)
  fields.refuse('do_pad', false)
  return {
    size: parseSize(fields.value('size') ?? DEFAULTS.dpt.size),
    filter: FILTERS[fields.number('resample', FILTERS.indexOf(DEFAULTS.dpt.filter))] ?? DEFAULTS.dpt.filter,
    rescaleFactor: fields.number('rescale_factor', DEFAULTS.dpt.rescaleFactor),
    mean: fields.list('image_mean', DEFAULTS.dpt.mean, isFiniteNumber, 3),
    std: fields.list('image_std', DEFAULTS.dpt.std, isFiniteNumber, 3),
    keepsProportions: fields.boolean('keep_aspect_ratio', DEFAULTS.dpt.keepsProportions),
    multiple: fields.size('ensure_multiple_of', DEFAULTS.dpt.multiple),
  }
}

function parseSize(value: unknown): Size {
  if (typeof value === 'number') return { width: value, height: value }
  const size = new ConfigFields(`${CONFIG_NAME}: size`, value)
  return { width: size.size('width', DEFAULTS.dpt.size.width), height: size.size('height', DEFAULTS.dpt.size.height) }
}

async function estimate(
  network: OnnxNetwork,
  processor: DepthProcessor,
  image: RgbImage,
  pictures: DepthPictures,
): Promise<RgbImage> {
  const fitted = preparedSize(processor, image)
  const size = { width: network.width ?? fitted.width, height: network.height ?? fitted.height }
  const small = await pictures.resize(image, size.width, size.height, processor.filter)
  const [output] = await network.run(pixelValues(small, { ...processor, size }))
  const { data, shape } = output as FloatTensor
  return pictures.depthImage({ width: defined(shape.at(-1)), height: defined(shape.at(-2)), data }, image)
}

/** The size whose scale changes least fits both sides; each is then rounded to the multiple. */
function preparedSize({ size, keepsProportions, multiple }: DepthProcessor, image: RgbImage): Size {
  let [horizontal, vertical] = [size.width / image.width, size.height / image.height]
  if (keepsProportions) {
    if (Math.abs(1 - horizontal) < Math.abs(1 - vertical)) vertical = horizontal
    else horizontal = vertical
  }
  const side = (pixels: number) => Math.max(multiple, roundHalfEven(pixels / multiple) * multiple)
  return { width: side(horizontal * image.width), height: side(vertical * image.height) }
}
