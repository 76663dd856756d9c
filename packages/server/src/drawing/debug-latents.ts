import { concatenate, encodeSafetensors, type FloatTensor } from '@darkroom/engine'
import type { HandlerContext, StoredFile } from '../endpoints/endpoint.ts'

/** Collects the latents that a request wants to see. */
export class LatentsRecorder {
  /** By picture, then by step: each [1, C, h, w]. */
  readonly #passes: FloatTensor[][] = []

  add(imageIndex: number, latents: FloatTensor): void {
    const steps = this.#passes[imageIndex] ?? []
    steps.push(latents)
    this.#passes[imageIndex] = steps
  }

  /** The final latents as a safetensors file: `latents`, float32 [images, C, h, w]. */
  saveFinal(context: HandlerContext): Promise<StoredFile> {
    return save(concatenate(this.#passes.map((steps) => steps.at(-1) as FloatTensor)), context)
  }

  /** The latents after each step as a safetensors file: `latents`, float32 [steps, images, C, h, w]. */
  saveAll(context: HandlerContext): Promise<StoredFile> {
    const [first = []] = this.#passes
    const byStep = first.map((_, step) => {
      const images = concatenate(this.#passes.map((steps) => steps[step] as FloatTensor))
      return { ...images, shape: [1, ...images.shape] }
    })
    return save(concatenate(byStep), context)
  }
}

function save(latents: FloatTensor, context: HandlerContext): Promise<StoredFile> {
  return context.saveFile(encodeSafetensors({ latents }), 'application/octet-stream', 'safetensors')
}
