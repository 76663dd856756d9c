/** A matrix of 8 bits; element [i, o] stands for `values[i·out + o] · scales[o]`. */
export interface QuantizedMatrix {
  /** int8 [in, out], −127 … 127 */
  readonly values: Int8Array
  /** float32 [out] */
  readonly scales: Float32Array
}

/**
 * A linear layer's weight [out, in], row-major, as int8 [in, out] with one scale for each output: symmetric, the largest of a row is 127. A row
 * of zeros has the scale 0.
 */
export function quantizeMatrix(weight: Float32Array, out: number, inputs: number): QuantizedMatrix {
  const values = new Int8Array(weight.length)
  const scales = new Float32Array(out)
  for (let row = 0; row < out; row++) {
    const start = row * inputs
    let largest = 0
    for (let i = 0; i < inputs; i++) largest = Math.max(largest, Math.abs(weight[start + i] as number))
    scales[row] = largest / 127
    const factor = largest === 0 ? 0 : 127 / largest
    for (let i = 0; i < inputs; i++) values[i * out + row] = Math.round((weight[start + i] as number) * factor)
  }
  return { values, scales }
}
