/** An 8-bit picture: R, G, B of each pixel, row after row from the top left, no padding. */
export interface RgbImage {
  readonly width: number
  readonly height: number
  /** width * height * 3 bytes. */
  readonly data: Uint8Array
}

/** An 8-bit picture of one channel (a mask, a depth map, edges), row after row from the top left, no padding. */
export interface GreyImage {
  readonly width: number
  readonly height: number
  /** width * height bytes. */
  readonly data: Uint8Array
}

/** An all-black picture, which is what stands in for one that a safety checker flagged. */
export function blackImage(width: number, height: number): RgbImage {
  return { width, height, data: new Uint8Array(width * height * 3) }
}
