import type { UNetAdapter, UNetInput, UNetStep } from '../adapters/unet-adapter.ts'
import { defined } from '../tensor/defined.ts'
import { dimensions, type FloatTensor, float32 } from '../tensor/tensor.ts'
import { cropMaps, type MapWindow } from '../tensor/window.ts'
import { ParameterError } from './parameter-error.ts'
import type { UNet } from './unet.ts'

/** Sizes in pixels, rounded down to whole latent pixels. Pictures that a tile holds are not tiled. */
export interface Tiling {
  readonly tileWidth: number
  readonly tileHeight: number
  /** From one tile to the next, at most the tile's size. */
  readonly tileStrideWidth: number
  readonly tileStrideHeight: number
}

/**
 * The windows of the latents that the UNet sees one by one; one that holds all without tiling.
 * @param factor picture pixels per latent pixel
 * @throws ParameterError for a stride beyond its tile
 */
export function tileWindows(
  latentSize: { readonly height: number; readonly width: number },
  tiling: Tiling | undefined,
  factor: number,
): MapWindow[] {
  if (!tiling) return [{ top: 0, left: 0, ...latentSize }]
  const latent = (name: keyof Tiling) => Math.max(1, Math.floor(tiling[name] / factor))
  const along = (axis: 'Width' | 'Height', length: number) => {
    const [tileName, strideName] = [`tile${axis}`, `tileStride${axis}`] as const
    if (tiling[strideName] > tiling[tileName]) {
      throw new ParameterError(strideName, `must be at most ${tileName} ${tiling[tileName]}, got ${tiling[strideName]}`)
    }
    const tile = latent(tileName)
    return { size: Math.min(tile, length), starts: tileStarts(length, tile, latent(strideName)) }
  }
  const [columns, rows] = [along('Width', latentSize.width), along('Height', latentSize.height)]
  return rows.starts.flatMap((top) =>
    columns.starts.map((left) => ({ top, left, height: rows.size, width: columns.size })),
  )
}

/** Where tiles begin along one side; the last is flush with the border. */
function tileStarts(length: number, tile: number, stride: number): number[] {
  const starts = []
  for (let start = 0; start + tile < length; start += stride) starts.push(start)
  return [...starts, Math.max(0, length - tile)]
}

/**
 * The UNet's prediction over windows, averaged uniformly where they overlap (MultiDiffusion, arXiv 2302.08113, for one prompt): one
 * prediction for the scheduler, however many windows.
 */
export async function predictTiled(
  unet: UNet,
  input: UNetInput,
  adapters: readonly UNetAdapter[],
  step: Omit<UNetStep, 'window'>,
  windows: readonly MapWindow[],
): Promise<FloatTensor> {
  const [only] = windows
  if (only && windows.length === 1) return unet.predict(input, adapters, { ...step, window: only })
  const { height, width } = step.latentSize
  let sum: FloatTensor | undefined
  const counts = new Uint16Array(height * width)
  for (const window of windows) {
    const sample = cropMaps(input.sample, window)
    const part = await unet.predict({ ...input, sample }, adapters, { ...step, window })
    sum ??= float32([...part.shape.slice(0, 2), height, width])
    addInto(sum, part, window)
    for (let y = window.top; y < window.top + window.height; y++) {
      for (let x = window.left; x < window.left + window.width; x++)
        counts[y * width + x] = defined(counts[y * width + x]) + 1
    }
  }
  if (!sum) throw new RangeError('no windows')
  return float32(
    sum.shape,
    sum.data.map((value, i) => value / defined(counts[i % counts.length])),
  )
}

function addInto(sum: FloatTensor, part: FloatTensor, { top, left, height, width }: MapWindow): void {
  const [, , fullHeight, fullWidth] = dimensions(sum.shape, 4)
  for (let i = 0; i < part.data.length; i++) {
    const map = Math.floor(i / (height * width))
    const y = top + (Math.floor(i / width) % height)
    const x = left + (i % width)
    const to = (map * fullHeight + y) * fullWidth + x
    sum.data[to] = defined(sum.data[to]) + defined(part.data[i])
  }
}
