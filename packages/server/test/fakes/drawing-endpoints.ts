import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeImage, type RgbImage } from '@darkroom/engine'
import { filePicture, outputPicture, previewPicture } from '../../src/drawing/picture-output.ts'
import type { PictureSize } from '../../src/drawing/picture-size.ts'
import type { Drawing, EndpointSchema, HandlerContext, RunnableEndpoint } from '../../src/endpoints/endpoint.ts'
import { fastLcmDiffusion, fastLcmDiffusionImageToImage } from '../../src/endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { lcmSd15ImageToImage } from '../../src/endpoints/fal-ai/lcm/schema.ts'
import { lora } from '../../src/endpoints/fal-ai/lora/schema.ts'
import { resolveImageSize } from '../../src/endpoints/shared/image-size.ts'

interface DrawingInput {
  readonly prompt: string
  readonly image_size?: Parameters<typeof resolveImageSize>[0]
  readonly image_url?: string
  readonly image_bytes?: Uint8Array
  readonly num_images: number
  readonly num_inference_steps: number
  readonly seed?: bigint
  readonly sync_mode: boolean
  readonly format?: 'jpeg' | 'png'
  readonly request_id: string
}

const STEP_MILLISECONDS = 3
const SMALL_SEED = 42n

/** Every pixel of the colour that the seed says, so that a test can tell one picture from another. */
function plainImage(width: number, height: number, seed: bigint): RgbImage {
  return { width, height, data: new Uint8Array(width * height * 3).fill(Number(seed % 256n)) }
}

async function sizeOf(input: DrawingInput, context: HandlerContext): Promise<PictureSize> {
  if (input.image_bytes) return decodeImage(input.image_bytes)
  if (input.image_url) return decodeImage(await context.readFile(input.image_url, ['image_url']))
  return resolveImageSize(input.image_size ?? 'square')
}

/** An endpoint under its own id, with its own schema and its answers' form, that paints one colour instead of drawing. */
function painting(schema: EndpointSchema, beforeLastStep: () => Promise<void>): RunnableEndpoint {
  return {
    schema,
    async handler(rawInput, context) {
      const input = rawInput as DrawingInput
      return paint(input, await sizeOf(input, context), context, beforeLastStep)
    },
  }
}

async function* paint(
  input: DrawingInput,
  { width, height }: PictureSize,
  context: HandlerContext,
  beforeLastStep: () => Promise<void>,
): Drawing<object> {
  const seed = input.seed ?? SMALL_SEED
  const echo = { prompt: input.prompt, ...(input.request_id !== '' && { request_id: input.request_id }) }
  for (let step = 1; step <= input.num_inference_steps; step++) {
    const progress = { done: step, total: input.num_inference_steps }
    context.log(`Step ${step}/${input.num_inference_steps}`, 'INFO', progress)
    await sleep(STEP_MILLISECONDS, undefined, { signal: context.signal })
    if (step === input.num_inference_steps) await Promise.race([beforeLastStep(), once(context.signal, 'abort')])
    context.signal.throwIfAborted()
    if (context.streaming) yield { images: [await previewPicture(plainImage(8, 8, seed))], timings: {}, ...echo }
  }
  const images = []
  for (let index = 0n; index < input.num_images; index++) {
    const format = { format: input.format ?? 'jpeg', syncMode: input.sync_mode }
    images.push(await outputPicture(plainImage(width, height, seed + index), { format, seed }, context))
  }
  context.setHeader('x-darkroom-model', 'paint')
  return { images, timings: { inference: 0.01 }, seed, ...echo }
}

/**
 * A lora endpoint that paints one small picture, whatever is asked: its answers have the form of the endpoint's.
 * @param onInput told of each request's input, as it was read
 */
export function paintingWithLoras(schema: EndpointSchema, onInput?: (input: unknown) => void): RunnableEndpoint {
  return {
    schema,
    async *handler(rawInput, context) {
      onInput?.(rawInput)
      const { seed = SMALL_SEED, ...input } = rawInput as {
        seed?: bigint
        image_format: 'jpeg' | 'png'
        num_images: number
      }
      context.log('Step 1/1', 'INFO', { done: 1, total: 1 })
      const images = []
      for (let index = 0n; index < input.num_images; index++) {
        const format = { format: input.image_format, syncMode: false }
        images.push(await filePicture(plainImage(16, 8, seed + index), { format, seed }, context))
      }
      return { images, seed, has_nsfw_concepts: images.map(() => false) }
    },
  }
}

/**
 * Endpoints under their own ids that paint instead of drawing.
 * @param beforeLastStep holds a picture at its last step for a test that has to see it being drawn; a cancelled one is not held
 */
export const drawingEndpoints = (beforeLastStep = () => Promise.resolve()): readonly RunnableEndpoint[] => [
  painting(fastLcmDiffusion, beforeLastStep),
  painting(fastLcmDiffusionImageToImage, beforeLastStep),
  painting(lcmSd15ImageToImage, beforeLastStep),
  paintingWithLoras(lora),
]
