import { defined } from '../tensor/defined.ts'
import { levelSizes } from './attention-layers.ts'
import type { UNetConfig } from './unet-2d-condition-config.ts'

/**
 * Shapes [C, h, w] of what a UNet carries along its skip connections, conv_in's result first, and last that of its mid block: the places
 * that control residuals are added to.
 */
export function skipShapes(
  config: Pick<UNetConfig, 'downBlocks' | 'downsamplePadding'>,
  height: number,
  width: number,
): [number, number, number][] {
  const { downBlocks } = config
  const sizes = levelSizes(config, height, width)
  const shapes: [number, number, number][] = [[downBlocks[0]?.channels ?? 0, height, width]]
  for (const [level, { channels, resnets }] of downBlocks.entries()) {
    const { height: h, width: w } = defined(sizes[level])
    for (let i = 0; i < resnets; i++) shapes.push([channels, h, w])
    const next = sizes[level + 1]
    if (next) shapes.push([channels, next.height, next.width])
  }
  return [...shapes, defined(shapes.at(-1))]
}
