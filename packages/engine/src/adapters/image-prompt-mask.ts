import { defined } from '../tensor/defined.ts'
import { interpolate } from '../tensor/interpolate.ts'
import { dimensions, type FloatTensor, float32 } from '../tensor/tensor.ts'

/**
 * A picture's mask for an attention over `queries` places. `bicubic` is diffusers' IPAdapterMaskProcessor.downsample: its height follows from
 * the picture's proportions, and places that this leaves over are 0. `nearest` is InstantID's region control: every
 * √(height · width / queries)-th pixel.
 * @param mask [height, width], 0 or 1
 * @returns [1, queries, 1]
 */
export function maskForQueries(mask: FloatTensor, queries: number, resampling: 'bicubic' | 'nearest'): FloatTensor {
  const small = resampling === 'bicubic' ? bicubicMask(mask, queries) : nearestMask(mask, queries)
  const out = float32([1, queries, 1])
  out.data.set(small.subarray(0, queries))
  return out
}

function bicubicMask(mask: FloatTensor, queries: number): Float32Array {
  const [height, width] = dimensions(mask.shape, 2)
  const rows = Math.max(1, Math.trunc(Math.sqrt(queries / (width / height))))
  const maskHeight = rows + (queries % rows === 0 ? 0 : 1)
  return interpolate(mask, maskHeight, Math.floor(queries / maskHeight), 'bicubic').data
}

function nearestMask({ shape, data }: FloatTensor, queries: number): Float32Array {
  const [height, width] = dimensions(shape, 2)
  const ratio = Math.sqrt((height * width) / queries)
  const columns = Math.floor(width / ratio)
  return Float32Array.from({ length: columns * Math.floor(height / ratio) }, (_, i) => {
    const [y, x] = [Math.floor(Math.floor(i / columns) * ratio), Math.floor((i % columns) * ratio)]
    return defined(data[y * width + x])
  })
}
