import { defined } from '../tensor/defined.ts'
import { elementCount, type FloatTensor, float32, rows } from '../tensor/tensor.ts'

const { fround } = Math

/**
 * Classifier-free guidance (arXiv 2207.12598): ε = u + scale · (c − u).
 * @param predictions [2, C, h, w]: the unconditional prediction, then the conditional one
 * @param rescale φ of guidance_rescale (arXiv 2305.08891, section 3.4), 0…1; 0 leaves ε as it is
 * @returns [1, C, h, w]; rounded operation by operation as in StableDiffusionPipeline.__call__
 */
export function guide(predictions: FloatTensor, scale: number, rescale = 0): FloatTensor {
  const [unconditional, conditional] = [rows(predictions, 0, 1), rows(predictions, 1, 2)]
  const guided = float32(conditional.shape)
  const weight = fround(scale)
  for (let i = 0; i < guided.data.length; i++) {
    const u = defined(unconditional.data[i])
    guided.data[i] = u + fround(weight * fround(defined(conditional.data[i]) - u))
  }
  return rescale > 0 ? rescaleToConditional(guided, conditional, rescale) : guided
}

/** `rescale_noise_cfg` of diffusers: pulls the standard deviation of the guided prediction back to the conditional one's. */
function rescaleToConditional(guided: FloatTensor, conditional: FloatTensor, rescale: number): FloatTensor {
  const ratio = fround(standardDeviation(conditional) / standardDeviation(guided))
  const [share, rest] = [fround(rescale), fround(1 - rescale)]
  const result = float32(guided.shape)
  for (let i = 0; i < result.data.length; i++) {
    const value = defined(guided.data[i])
    result.data[i] = fround(share * fround(value * ratio)) + fround(rest * value)
  }
  return result
}

/** Sample standard deviation (divisor N−1, as torch.std) over all elements. */
function standardDeviation({ data, shape }: FloatTensor): number {
  const count = elementCount(shape)
  const mean = data.reduce((sum, value) => sum + value, 0) / count
  const squares = data.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return fround(Math.sqrt(squares / (count - 1)))
}

/**
 * The guidance scale as an embedding, for UNets distilled with one (`get_guidance_scale_embedding`): w = (scale − 1) · 1000 as
 * sinusoids, sine first, frequencies over half − 1.
 * @returns [1, dimension]
 */
export function guidanceScaleEmbedding(scale: number, dimension: number): FloatTensor {
  const half = dimension >> 1
  const step = fround(Math.log(10_000) / (half - 1))
  const w = fround(fround(scale - 1) * 1000)
  const embedding = float32([1, dimension])
  for (let i = 0; i < half; i++) {
    const angle = fround(w * fround(Math.exp(fround(i * -step))))
    embedding.data[i] = Math.sin(angle)
    embedding.data[half + i] = Math.cos(angle)
  }
  return embedding
}
