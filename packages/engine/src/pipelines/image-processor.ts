import { join } from 'node:path'
import { readJsonObject } from '../checkpoint/json-file.ts'
import { ConfigFields, isFiniteNumber } from '../config/config-fields.ts'
import type { PixelValuesOptions, Size } from '../image/pixel-values.ts'
import type { ResampleFilter } from '../image/resample-filter.ts'

const FILE_NAME = 'preprocessor_config.json'

/** Pillow's numbers of its filters; 5, Hamming, is not supported. */
const FILTERS: readonly ResampleFilter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box']

/**
 * How a model's pictures are prepared: the first preprocessor_config.json of these folders, or the defaults.
 * @throws CheckpointError for a file that is no JSON object, ModelConfigError for a malformed field
 */
export async function readImageProcessor(
  folders: readonly string[],
  defaults: PixelValuesOptions,
): Promise<PixelValuesOptions> {
  for (const folder of folders) {
    const json = await readJsonObject(join(folder, FILE_NAME))
    if (json) return parseImageProcessorConfig(json, defaults)
  }
  return defaults
}

/**
 * Reads the preprocessor_config.json of a CLIPImageProcessor or ViTImageProcessor, both today's and that of 2022, in which sizes
 * are bare numbers.
 * @param defaults the class's; they also say whether a bare size is the shorter side or both
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseImageProcessorConfig(json: unknown, defaults: PixelValuesOptions): PixelValuesOptions {
  const fields = new ConfigFields(FILE_NAME, json)
  for (const step of ['do_resize', 'do_rescale', 'do_normalize']) fields.refuse(step, true)
  const { crop, ...rest } = defaults
  const options = {
    ...rest,
    size: parseSize(fields, defaults),
    filter: parseFilter(fields, defaults.filter),
    rescaleFactor: fields.number('rescale_factor', defaults.rescaleFactor),
    mean: fields.list('image_mean', defaults.mean, isFiniteNumber, 3),
    std: fields.list('image_std', defaults.std, isFiniteNumber, 3),
  }
  if (!fields.boolean('do_center_crop', crop !== undefined)) return options
  return { ...options, crop: parseCrop(fields, options.size, crop) }
}

function parseSize(fields: ConfigFields, defaults: PixelValuesOptions): PixelValuesOptions['size'] {
  const value = fields.value('size')
  if (value === undefined) return defaults.size
  if (typeof value === 'number') {
    const side = fields.size('size', 0)
    return 'shortestEdge' in defaults.size ? { shortestEdge: side } : { width: side, height: side }
  }
  const size = new ConfigFields(`${FILE_NAME}: size`, value)
  if (size.value('shortest_edge') === undefined) return widthAndHeight(size)
  size.refuse('longest_edge', null)
  return { shortestEdge: size.size('shortest_edge', 0) }
}

function parseCrop(fields: ConfigFields, size: PixelValuesOptions['size'], fallback: Size | undefined): Size {
  const value = fields.value('crop_size') ?? fallback
  const crop =
    typeof value === 'number'
      ? { width: fields.size('crop_size', 0), height: value }
      : widthAndHeight(new ConfigFields(`${FILE_NAME}: crop_size`, value))
  const available = 'width' in size ? size : { width: size.shortestEdge, height: size.shortestEdge }
  if (crop.width > available.width || crop.height > available.height) {
    throw fields.error('crop_size', `at most the size ${available.width}x${available.height} that is cropped`, value)
  }
  return crop
}

function widthAndHeight(fields: ConfigFields): Size {
  return { width: fields.size('width', 0), height: fields.size('height', 0) }
}

function parseFilter(fields: ConfigFields, fallback: ResampleFilter): ResampleFilter {
  const value = fields.value('resample')
  if (value === undefined) return fallback
  const filter = typeof value === 'number' ? FILTERS[value] : undefined
  if (filter === undefined) throw fields.error('resample', 'one of Pillow’s filters 0 to 4', value)
  return filter
}
