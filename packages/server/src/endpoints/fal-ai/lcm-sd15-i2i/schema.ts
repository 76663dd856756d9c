import { z } from 'zod'
import type { EndpointSchema } from '../../endpoint.ts'
import {
  guidanceScale,
  imageBytes,
  imageUrl,
  lcmInferenceSteps,
  negativePrompt,
  numImages,
  requestId,
  seedInput,
  seedOutput,
  syncMode,
  timings,
} from '../../shared/fields.ts'
import { fastImage } from '../../shared/image.ts'
import { LATENT_CONSISTENCY } from '../../shared/latent-consistency.ts'

export const lcmSd15ImageToImage = {
  id: 'fal-ai/lcm-sd15-i2i',
  aliases: ['110602490-lcm-sd15-i2i'],
  title: 'Optimized Latent Consistency (SDv1.5)',
  description:
    'Redraw a picture with Stable Diffusion 1.5 in a few latent consistency steps, fast enough for live drawing.',
  category: 'image-to-image',
  input: z
    .object({
      prompt: z.string().meta({
        title: 'Prompt',
        description: 'The prompt to use for generating the image. Be as descriptive as possible for best results.',
        examples: ['masterpiece, colorful, photo of a beach in hawaii, sun'],
      }),
      image_url: imageUrl(['https://storage.googleapis.com/falserverless/model_tests/lcm/beach.png']),
      image_bytes: imageBytes(),
      strength: z.number().min(0).max(1).default(0.8).meta({
        title: 'Strength',
        description: 'How far the picture may move away from the input: 0 keeps it, 1 ignores it.',
      }),
      negative_prompt: negativePrompt(),
      seed: seedInput(),
      guidance_scale: guidanceScale(1),
      num_inference_steps: lcmInferenceSteps(4),
      sync_mode: syncMode(false),
      num_images: numImages(),
      enable_safety_checks: z.boolean().default(true).meta({
        title: 'Enable Safety Checks',
        description: 'If set to true, the resulting image will be checked and replaced by a black one when flagged.',
      }),
      enable_safety_checker: z.boolean().nullish().meta({
        title: 'Enable Safety Checker',
        description: 'Newer name of enable_safety_checks on other endpoints; wins where both are given.',
        hidden: true,
      }),
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
  output: z
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
    .meta({ title: 'LcmSd15I2iOutput' }),
  realtime: true,
  ...LATENT_CONSISTENCY,
} as const satisfies EndpointSchema
