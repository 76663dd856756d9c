import {
  type DenoiseStep,
  type GeneratedImage,
  type RgbImage,
  type StableDiffusion,
  tensorToRgb,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { type FieldNames, toWireError } from './engine-errors.ts'
import { type OutputPicture, previewPicture } from './picture-output.ts'

export interface StepOptions {
  readonly numImages: number
  /** For error messages. */
  readonly fields: FieldNames
  /** Whether an intermediate picture may leave the runner. */
  mayShow(preview: RgbImage): Promise<boolean>
}

/** Yields intermediate pictures in the shape of an endpoint's output. @returns what the run returns */
export async function* inShapeOf<Output, Result>(
  run: AsyncGenerator<OutputPicture, Result>,
  partial: (picture: OutputPicture) => Output,
): AsyncGenerator<Output, Result> {
  for (;;) {
    const next = await run.next()
    if (next.done) return next.value
    yield partial(next.value)
  }
}

/**
 * Runs a pipeline to its end: each step is a line of the request's log and, where the caller wants them, an intermediate picture.
 * @throws WireError for what the request asked and this model cannot do
 */
export async function* runSteps(
  model: StableDiffusion,
  run: AsyncGenerator<DenoiseStep, GeneratedImage[]>,
  { numImages, fields, mayShow }: StepOptions,
  context: HandlerContext,
): AsyncGenerator<OutputPicture, GeneratedImage[]> {
  try {
    for (;;) {
      const next = await run.next()
      if (next.done) return next.value
      const { imageIndex, step, steps, predOriginalSample } = next.value
      const picture = numImages > 1 ? ` of picture ${imageIndex + 1}/${numImages}` : ''
      const progress = { done: imageIndex * steps + step + 1, total: steps * numImages }
      context.log(`Step ${step + 1}/${steps}${picture}`, 'INFO', progress)
      if (context.streaming && step + 1 < steps) {
        const [preview] = tensorToRgb(await (model.previewDecoder ?? model.vae).decode(predOriginalSample))
        if (preview && (await mayShow(preview))) yield await previewPicture(preview)
      }
    }
  } catch (error) {
    throw toWireError(error, fields)
  }
}
