import { dimensions, type Shape } from '../tensor/tensor.ts'

/**
 * Whether a convolution's weights [O, I, kh, kw] have onnxruntime's blocked CPU form (NCHWc, MLAS's `OIHWBiBo` and `OIHWBo` in
 * onnxruntime/core/mlas/lib/reorder.cpp) without padding.
 * @param block channels in one block: the floats of a vector register, 8 with AVX2, 16 with AVX-512
 */
export function isBlockable(shape: Shape, block: number): boolean {
  const [outChannels = 0, inChannels = 0] = shape
  return (
    shape.length === 4 && outChannels % block === 0 && (inChannels % block === 0 || readsPlainMap(inChannels, block))
  )
}

/** Maps with fewer channels than one block (a UNet's four latents) are read as they are. */
export function readsPlainMap(inChannels: number, block: number): boolean {
  return inChannels < block
}

/**
 * A convolution's weights in memory as [n, kh, kw, m]: what is before and after the filter's own two axes, as one axis each.
 * @param block of weights in the blocked form; undefined for [O, I, kh, kw]
 */
export function filterMemory(shape: Shape, block: number | undefined): Shape {
  const [outChannels, inChannels, height, width] = dimensions(shape, 4)
  const inner = block === undefined ? 1 : readsPlainMap(inChannels, block) ? block : block * block
  return [(outChannels * inChannels) / inner, height, width, inner]
}

/** Weights [O, I, kh, kw] as [O/b, I/b, kh, kw, b in, b out], or [O/b, I, kh, kw, b out] for few input channels; same size. */
export function blockFilter(values: Float32Array, shape: Shape, block: number): Float32Array {
  const [outChannels, inChannels, height, width] = dimensions(shape, 4)
  const inBlock = readsPlainMap(inChannels, block) ? 1 : block
  const area = height * width
  const out = new Float32Array(values.length)
  let next = 0
  for (let outStart = 0; outStart < outChannels; outStart += block) {
    for (let inStart = 0; inStart < inChannels; inStart += inBlock) {
      for (let point = 0; point < area; point++) {
        for (let i = inStart; i < inStart + inBlock; i++) {
          let from = (outStart * inChannels + i) * area + point
          for (let end = next + block; next < end; next++) {
            out[next] = values[from] as number
            from += inChannels * area
          }
        }
      }
    }
  }
  return out
}
