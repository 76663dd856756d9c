import { interpolate } from '../tensor/interpolate.ts'
import { type FloatTensor, float32 } from '../tensor/tensor.ts'

/**
 * A picture's mask for an attention over `queries` places, diffusers' IPAdapterMaskProcessor.downsample: its height follows from the
 * picture's proportions, and places that this leaves over are 0.
 * @param mask [height, width], 0 or 1
 * @returns [1, queries, 1]
 */
export function maskForQueries(mask: FloatTensor, queries: number): FloatTensor {
  const [height, width] = mask.shape as [number, number]
  const rows = Math.max(1, Math.trunc(Math.sqrt(queries / (width / height))))
  const maskHeight = rows + (queries % rows === 0 ? 0 : 1)
  const maskWidth = Math.floor(queries / maskHeight)
  const small = interpolate(mask, maskHeight, maskWidth, 'bicubic')
  const out = float32([1, queries, 1])
  out.data.set(small.data.subarray(0, queries))
  return out
}
