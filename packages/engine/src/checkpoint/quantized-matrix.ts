/** How the values of a matrix of 8 bits lie. */
export type QuantizedLayout = '[in, out]' | '[out, in]'

/** A matrix of 8 bits; the element of input i and output o stands for its value times `scales[o]`. */
export interface QuantizedMatrix {
  /** int8, −127 … 127 */
  readonly values: Int8Array
  /** float32 [out] */
  readonly scales: Float32Array
}

/**
 * A linear layer's weight [out, in], row-major, as int8 with one scale for each output: symmetric, the largest of an output is 127. An
 * output of zeros has the scale 0.
 */
export function quantizeMatrix(
  weight: Float32Array,
  out: number,
  inputs: number,
  layout: QuantizedLayout,
): QuantizedMatrix {
  const [perRow, perInput] = layout === '[in, out]' ? [1, out] : [inputs, 1]
  const values = new Int8Array(weight.length)
  const scales = new Float32Array(out)
  for (let row = 0; row < out; row++) {
    const start = row * inputs
    let largest = 0
    for (let i = 0; i < inputs; i++) largest = Math.max(largest, Math.abs(weight[start + i] as number))
    scales[row] = largest / 127
    const factor = largest === 0 ? 0 : 127 / largest
    for (let i = 0; i < inputs; i++) {
      values[row * perRow + i * perInput] = Math.round((weight[start + i] as number) * factor)
    }
  }
  return { values, scales }
}
