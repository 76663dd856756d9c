import type { CSSProperties } from 'react'

/** The place that a picture takes before it is there, for the style sheet: as wide as fits, in the picture's own proportions. */
export function pictureShape({ width, height }: { readonly width?: number; readonly height?: number }): CSSProperties {
  return width === undefined || height === undefined ? {} : ({ '--ratio': width / height } as CSSProperties)
}
