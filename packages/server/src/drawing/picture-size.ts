export interface PictureSize {
  readonly width: number
  readonly height: number
}

/**
 * The size a checkpoint can draw that is nearest to the one asked for: multiples of the VAE's factor, at least one.
 * The result is resampled to the asked size afterwards.
 */
export function drawableSize({ width, height }: PictureSize, factor: number): PictureSize {
  const nearest = (side: number) => Math.max(1, Math.round(side / factor)) * factor
  return { width: nearest(width), height: nearest(height) }
}
