/** One axis of the result: four source places and weights for each. */
interface Taps {
  readonly places: Int32Array
  readonly weights: Float32Array
}

/** The kernel's sharpness that torch takes; Pillow's is −0.5. */
const A = -0.75

function near(t: number): number {
  return ((A + 2) * t - (A + 3)) * t * t + 1
}

function far(t: number): number {
  return ((A * t - 5 * A) * t + 8 * A) * t - 4 * A
}

function taps(source: number, target: number): Taps {
  const places = new Int32Array(target * 4)
  const weights = new Float32Array(target * 4)
  const scale = source / target
  for (let i = 0; i < target; i++) {
    const position = (i + 0.5) * scale - 0.5
    const first = Math.floor(position)
    const t = position - first
    weights.set([far(t + 1), near(t), near(1 - t), far(2 - t)], i * 4)
    for (let k = 0; k < 4; k++) places[i * 4 + k] = Math.min(Math.max(first - 1 + k, 0), source - 1)
  }
  return { places, weights }
}

/**
 * `torch.nn.functional.interpolate(mode="bicubic", align_corners=False)` of one channel: no antialiasing, a = −0.75.
 * @param data float32 [height, width]
 */
export function resizeBicubic(
  data: Float32Array,
  from: { readonly width: number; readonly height: number },
  to: { readonly width: number; readonly height: number },
): Float32Array {
  const [columns, rows] = [taps(from.width, to.width), taps(from.height, to.height)]
  const wide = new Float32Array(from.height * to.width)
  for (let y = 0; y < from.height; y++) {
    for (let x = 0; x < to.width; x++) {
      let sum = 0
      for (let k = x * 4; k < x * 4 + 4; k++) {
        sum += (data[y * from.width + (columns.places[k] as number)] as number) * (columns.weights[k] as number)
      }
      wide[y * to.width + x] = sum
    }
  }
  const out = new Float32Array(to.height * to.width)
  for (let y = 0; y < to.height; y++) {
    for (let x = 0; x < to.width; x++) {
      let sum = 0
      for (let k = y * 4; k < y * 4 + 4; k++) {
        sum += (wide[(rows.places[k] as number) * to.width + x] as number) * (rows.weights[k] as number)
      }
      out[y * to.width + x] = sum
    }
  }
  return out
}
