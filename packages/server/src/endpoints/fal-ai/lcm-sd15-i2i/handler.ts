import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { inputPicture, sizeOfInput } from '../../../drawing/input-picture.ts'
import { drawLatentConsistency } from '../../../drawing/latent-consistency.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { type RunnableEndpoint, runnable } from '../../endpoint.ts'
import { lcmSd15ImageToImage } from './schema.ts'

/** Redraws a picture with Stable Diffusion 1.5 in a few steps. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  return [
    runnable(lcmSd15ImageToImage, async function* (input, context) {
      const image = await inputPicture(input, context)
      const seed = chooseSeed(input.seed)
      const run = drawLatentConsistency(
        engine,
        {
          modelName: 'runwayml/stable-diffusion-v1-5',
          prompt: input.prompt,
          negativePrompt: input.negative_prompt,
          steps: input.num_inference_steps,
          guidanceScale: input.guidance_scale,
          guidanceRescale: 0,
          seed,
          numImages: input.num_images,
          size: sizeOfInput(image),
          start: { image, strength: input.strength },
          checkSafety: input.enable_safety_checker ?? input.enable_safety_checks,
          safetyCheckerVersion: 'v1',
          format: { format: 'jpeg', syncMode: input.sync_mode },
        },
        context,
      )
      const echo = { num_inference_steps: input.num_inference_steps, request_id: input.request_id }
      let next = await run.next()
      for (; !next.done; next = await run.next()) {
        yield { images: [next.value], timings: {}, seed, ...echo, nsfw_content_detected: [false] }
      }
      const { images, nsfwFlags, inferenceSeconds } = next.value
      return {
        images,
        timings: { inference: inferenceSeconds },
        seed,
        ...echo,
        nsfw_content_detected: nsfwFlags,
      }
    }),
  ]
}
