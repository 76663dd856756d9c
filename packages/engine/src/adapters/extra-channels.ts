import { concatenate, dimensions, type FloatTensor } from '../tensor/tensor.ts'
import { cropMaps } from '../tensor/window.ts'
import type { UNetAdapter } from './unet-adapter.ts'

/** Shows a UNet that was trained for it further channels beside the latents, [1, C, h, w], the same for both halves of the guidance. */
export function extraChannels(channels: FloatTensor): UNetAdapter {
  return {
    variant: '',
    channels: ({ sample }, { window }) => {
      const [batch] = dimensions(sample.shape, 1)
      return concatenate(new Array<FloatTensor>(batch).fill(cropMaps(channels, window)))
    },
  }
}
