import { type DenoiseStep, type GeneratedImage, type StableDiffusion, tensorToRgb } from '@darkroom/engine'
import type { HandlerContext } from '../endpoint.ts'
import { type FieldNames, toWireError } from './engine-errors.ts'
import { type OutputPicture, previewPicture } from './picture-output.ts'

/**
 * Runs a pipeline to its end: each step is a line of the request's log and, where the caller wants them, an intermediate picture.
 * @throws WireError for what the request asked and this model cannot do
 */
export async function* runSteps(
  model: StableDiffusion,
  run: AsyncGenerator<DenoiseStep, GeneratedImage[]>,
  numImages: number,
  context: HandlerContext,
  fields: FieldNames,
): AsyncGenerator<OutputPicture, GeneratedImage[]> {
  try {
    for (;;) {
      const next = await run.next()
      if (next.done) return next.value
      const { imageIndex, step, steps, predOriginalSample } = next.value
      const picture = numImages > 1 ? ` of picture ${imageIndex + 1}/${numImages}` : ''
      context.log(`Step ${step + 1}/${steps}${picture}`)
      if (context.streaming && step + 1 < steps) {
        const [preview] = tensorToRgb(await model.vae.decode(predOriginalSample))
        if (preview) yield await previewPicture(preview)
      }
    }
  } catch (error) {
    throw toWireError(error, fields)
  }
}
