import { z } from 'zod'
import type { EndpointSchema } from '../../endpoint.ts'
import {
  guidanceScale,
  imageBytes,
  imageUrl,
  lcmInferenceSteps,
  negativePrompt,
  numImages,
  promptText,
  requestId,
  seedInput,
  seedOutput,
  syncMode,
  timings,
} from '../../shared/fields.ts'
import { fastImage } from '../../shared/image.ts'
import { imageSize } from '../../shared/image-size.ts'
import { LATENT_CONSISTENCY } from '../../shared/lcm-models.ts'

const prompt = (examples: readonly string[]) =>
  promptText().meta({
    title: 'Prompt',
    description: 'The prompt to use for generating the image. Be as descriptive as possible for best results.',
    examples,
  })

const strength = z.number().min(0).max(1).default(0.8).meta({
  title: 'Strength',
  description:
    'How far the picture may move away from the input: near 0 keeps it, 1 ignores it. This share of the steps is run, one at least.',
})

/** How both are named on these endpoints, and on fal's newer ones. */
const safety = {
  enable_safety_checks: z.boolean().default(true).meta({
    title: 'Enable Safety Checks',
    description: 'If set to true, the resulting image will be checked and replaced by a black one when flagged.',
  }),
  enable_safety_checker: z.boolean().nullish().meta({
    title: 'Enable Safety Checker',
    description: 'Newer name of enable_safety_checks on other endpoints; wins where both are given.',
    hidden: true,
  }),
}

const output = z
  .object({
    images: z.array(fastImage).meta({ title: 'Images', description: 'The generated images.' }),
    timings: timings(),
    seed: seedOutput(),
    num_inference_steps: z.int().default(4).meta({
      title: 'Num Inference Steps',
      description: 'The number of inference steps of the input.',
    }),
    request_id: z.string().default('').meta({ title: 'Request Id', description: 'The request_id of the input.' }),
    nsfw_content_detected: z.array(z.boolean()).meta({
      title: 'Nsfw Content Detected',
      description: 'Whether each image was flagged.',
    }),
  })
  .meta({ title: 'LcmOutput' })

export const lcmSd15ImageToImage = {
  id: 'fal-ai/lcm-sd15-i2i',
  aliases: ['110602490-lcm-sd15-i2i'],
  title: 'Optimized Latent Consistency (SDv1.5)',
  description:
    'Redraw a picture with Stable Diffusion 1.5 in a few latent consistency steps, fast enough for live drawing.',
  category: 'image-to-image',
  input: z
    .object({
      prompt: prompt(['masterpiece, colorful, photo of a beach in hawaii, sun']),
      image_url: imageUrl(['https://storage.googleapis.com/falserverless/model_tests/lcm/beach.png']),
      image_bytes: imageBytes(),
      strength,
      negative_prompt: negativePrompt(),
      seed: seedInput(),
      guidance_scale: guidanceScale(1),
      num_inference_steps: lcmInferenceSteps(4),
      sync_mode: syncMode(false),
      num_images: numImages(),
      ...safety,
      request_id: requestId(),
      mask_url: z
        .string()
        .nullish()
        .meta({
          title: 'Mask Url',
          description: 'Accepted for compatibility and not used.',
          ignored: true,
          ui: { field: 'image' },
        }),
    })
    .meta({ title: 'LcmSd15I2iInput' }),
  output: output.meta({ title: 'LcmSd15I2iOutput' }),
  realtime: true,
  ...LATENT_CONSISTENCY,
} as const satisfies EndpointSchema

const optionalImage = (title: string, description: string) =>
  z
    .string()
    .nullish()
    .meta({ title, description, ui: { field: 'image' } })

/** One endpoint for three pipelines: the pictures that are given say which. */
export const lcm = {
  id: 'fal-ai/lcm',
  aliases: ['110602490-lcm', 'fal-ai/lcm/image-to-image', 'fal-ai/lcm/inpaint'],
  title: 'Latent Consistency (SDXL & SDv1.5)',
  description: 'Draw, redraw or inpaint with SDXL or Stable Diffusion 1.5 in a few latent consistency steps.',
  category: 'text-to-image',
  input: z
    .object({
      prompt: prompt([
        'an island near sea, with seagulls, moon shining over the sea, light house, boats in the background',
      ]),
      model: z
        .enum(['sdxl', 'sdv1-5'])
        .default('sdv1-5')
        .meta({ title: 'Model', description: 'The model to use for generating the image.' }),
      image_url: optionalImage('Image Url', 'URL of the image to start from: http(s), or a data URI.'),
      image_bytes: imageBytes(),
      mask_url: optionalImage(
        'Mask Url',
        'URL of a black-and-white image: white is drawn anew, black is kept. Needs a picture to start from.',
      ),
      strength,
      negative_prompt: negativePrompt(),
      seed: seedInput(),
      guidance_scale: guidanceScale(1),
      num_inference_steps: lcmInferenceSteps(4),
      image_size: imageSize.nullish().meta({
        title: 'Image Size',
        description: 'The size of the image; when absent, that of the input image, and 512×512 without one.',
      }),
      sync_mode: syncMode(false),
      num_images: numImages(),
      ...safety,
      request_id: requestId(),
      inpaint_mask_only: z.boolean().default(false).meta({
        title: 'Inpaint Mask Only',
        description: 'If set to true, every pixel outside of the mask is the input image’s own.',
      }),
      controlnet_inpaint: z.boolean().default(false).meta({
        title: 'Controlnet Inpaint',
        description: 'Accepted for compatibility and not used: the model itself inpaints.',
        ignored: true,
      }),
      lora_url: z
        .string()
        .nullish()
        .meta({ title: 'Lora Url', description: 'URL of a LoRA to draw with.', fetched: 'weights' }),
      lora_scale: z
        .number()
        .default(1)
        .meta({ title: 'Lora Scale', description: 'How strongly the LoRA is applied; 1 is as it was trained.' }),
    })
    .meta({ title: 'LcmInput' }),
  output,
  realtime: true,
  ...LATENT_CONSISTENCY,
  addedOn: '2026-11-28',
} as const satisfies EndpointSchema
