import { defined } from './defined.ts'
import { dimensions, elementCount, type FloatTensor, float32 } from './tensor.ts'

/** For each output sample the inputs that it is a weighted sum of. */
interface Taps {
  readonly indices: readonly number[]
  readonly weights: readonly number[]
}

type Kernel = (inputSize: number, outputSize: number) => readonly Taps[]

/**
 * torch.nn.functional.interpolate with `align_corners=False` and no antialiasing (which Pillow's filters have).
 * @param maps [..., h, w]
 * @param mode `bicubic` is Keys' with a = −0.75
 * @returns [..., height, width]
 */
export function interpolate(
  maps: FloatTensor,
  height: number,
  width: number,
  mode: 'bilinear' | 'bicubic',
): FloatTensor {
  const [h, w] = dimensions(maps.shape.slice(-2), 2)
  const kernel = mode === 'bilinear' ? bilinear : bicubic
  const [rows, columns] = [kernel(h, height), kernel(w, width)]
  const count = elementCount(maps.shape.slice(0, -2))
  const out = float32([...maps.shape.slice(0, -2), height, width])
  let to = 0
  for (let map = 0; map < count; map++) {
    const at = (y: number, x: number) => defined(maps.data[(map * h + y) * w + x])
    for (const row of rows) {
      for (const column of columns) {
        out.data[to++] = weigh(row, (y) => weigh(column, (x) => at(y, x)))
      }
    }
  }
  return out
}

function weigh({ indices, weights }: Taps, value: (index: number) => number): number {
  return indices.reduce((sum, index, i) => sum + defined(weights[i]) * value(index), 0)
}

const bilinear: Kernel = (inputSize, outputSize) =>
  places(inputSize, outputSize).map((place) => {
    const source = Math.max(0, place)
    const first = Math.floor(source)
    const part = source - first
    return { indices: [first, Math.min(first + 1, inputSize - 1)], weights: [1 - part, part] }
  })

const bicubic: Kernel = (inputSize, outputSize) =>
  places(inputSize, outputSize).map((place) => {
    const first = Math.floor(place)
    const part = place - first
    const offsets = [-1, 0, 1, 2]
    return {
      indices: offsets.map((offset) => Math.min(inputSize - 1, Math.max(0, first + offset))),
      weights: offsets.map((offset) => keysCubic(Math.abs(part - offset))),
    }
  })

/** Where each output sample lies among the inputs. */
function places(inputSize: number, outputSize: number): number[] {
  return Array.from({ length: outputSize }, (_, i) => ((i + 0.5) * inputSize) / outputSize - 0.5)
}

const A = -0.75

function keysCubic(x: number): number {
  if (x <= 1) return ((A + 2) * x - (A + 3)) * x * x + 1
  return ((A * x - 5 * A) * x + 8 * A) * x - 4 * A
}
