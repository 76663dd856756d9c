import { type FloatTensor, float32 } from '../tensor/tensor.ts'

const { fround } = Math

export type Term = readonly [coefficient: number, tensor: FloatTensor]

/**
 * c₀·x₀ + c₁·x₁ + …, left to right, each product and each sum rounded to float32: what a torch expression of
 * float32 tensors and scalars computes one operation at a time. Subtraction is a negative coefficient (exact).
 */
export function linearCombination(...terms: readonly Term[]): FloatTensor {
  const [first] = terms
  if (!first) throw new RangeError('a linear combination needs a term')
  const out = float32(first[1].shape)
  for (const [index, [coefficient, { data, shape }]] of terms.entries()) {
    if (data.length !== out.data.length) throw new RangeError(`shapes [${first[1].shape}] and [${shape}] differ`)
    const c = fround(coefficient)
    for (let i = 0; i < data.length; i++) {
      const product = fround(c * (data[i] as number))
      out.data[i] = index === 0 ? product : (out.data[i] as number) + product
    }
  }
  return out
}
