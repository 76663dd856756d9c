import { z } from 'zod'
import type { EndpointSchema } from '../../endpoint.ts'
import {
  guidanceScale,
  imageBytes,
  imageUrl,
  lcmInferenceSteps,
  maskUrl,
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
import { LATENT_CONSISTENCY, LCM_BASE_MODELS } from '../../shared/lcm-models.ts'

const PROMPT_EXAMPLES = ['Self-portrait oil painting, a beautiful cyborg with golden hair, 8k']

const modelName = z
  .enum(LCM_BASE_MODELS)
  .default(LCM_BASE_MODELS[0])
  .meta({
    title: 'Model Name',
    description: 'The name of the model to use.',
    examples: [LCM_BASE_MODELS[0]],
  })

const prompt = promptText().meta({
  title: 'Prompt',
  description: 'The prompt to use for generating the image. Be as descriptive as possible for best results.',
  examples: PROMPT_EXAMPLES,
})

const options = {
  enable_safety_checker: z
    .boolean()
    .default(true)
    .meta({ title: 'Enable Safety Checker', description: 'If set to true, the safety checker will be enabled.' }),
  enable_safety_checks: z.boolean().nullish().meta({
    title: 'Enable Safety Checks',
    description: 'Older name of enable_safety_checker; wins where both are given.',
    hidden: true,
  }),
  safety_checker_version: z.enum(['v1', 'v2']).default('v1').meta({
    title: 'Safety Checker Version',
    description: 'The version of the safety checker: v1 compares with CLIP concepts, v2 is a ViT classifier.',
  }),
  expand_prompt: z.boolean().default(false).meta({
    title: 'Expand Prompt',
    description: 'If set to true, the prompt will be expanded with additional prompts.',
  }),
  format: z.enum(['jpeg', 'png']).default('jpeg').meta({ title: 'Format', description: 'The format of the images.' }),
  guidance_rescale: z.number().min(0).max(1).default(0).meta({
    title: 'Guidance Rescale',
    description: 'Rescales the guided prediction towards the spread of the unguided one, against over-exposure.',
  }),
  request_id: requestId(),
}

const output = z
  .object({
    images: z.array(fastImage).meta({ title: 'Images', description: 'The generated images.' }),
    timings: timings(),
    seed: seedOutput(),
    has_nsfw_concepts: z.array(z.boolean()).meta({
      title: 'Has Nsfw Concepts',
      description: 'Whether each image was flagged.',
    }),
    prompt: z.string().meta({ title: 'Prompt', description: 'The prompt used for generating the image.' }),
    request_id: z.string().optional().meta({ title: 'Request Id', description: 'The request_id of the input.' }),
  })
  .meta({ title: 'FastLcmDiffusionOutput' })

export const fastLcmDiffusion = {
  id: 'fal-ai/fast-lcm-diffusion',
  aliases: [],
  title: 'Latent Consistency Models (v1.5/XL)',
  description: 'Run SDXL or Stable Diffusion 1.5 in a few steps with a latent consistency LoRA.',
  category: 'text-to-image',
  input: z
    .object({
      model_name: modelName,
      prompt,
      negative_prompt: negativePrompt(),
      image_size: imageSize.default('square_hd').meta({ title: 'Image Size', description: 'The size of the image.' }),
      num_inference_steps: lcmInferenceSteps(6),
      seed: seedInput(),
      guidance_scale: guidanceScale(1.5),
      sync_mode: syncMode(true),
      num_images: numImages(),
      ...options,
    })
    .meta({ title: 'FastLcmDiffusionInput' }),
  output,
  realtime: true,
  ...LATENT_CONSISTENCY,
} as const satisfies EndpointSchema

const startImage = {
  image_url: imageUrl(['https://storage.googleapis.com/falserverless/model_tests/lcm/beach.png']),
  image_bytes: imageBytes(),
}

/** What both endpoints that start from a picture have beside it. */
const startOptions = {
  negative_prompt: negativePrompt(),
  image_size: imageSize
    .nullish()
    .meta({ title: 'Image Size', description: 'The size of the image; that of the input image when absent.' }),
  num_inference_steps: lcmInferenceSteps(6),
  seed: seedInput(),
  guidance_scale: guidanceScale(1.5),
  strength: z.number().min(0).max(1).default(0.95).meta({
    title: 'Strength',
    description:
      'How far the picture may move away from the input: near 0 keeps it, 1 ignores it. This share of the steps is run, one at least.',
  }),
  sync_mode: syncMode(true),
  num_images: numImages(),
  ...options,
}

/** fal's realtime page draws with this path; its pictures come as bytes. */
export const fastLcmDiffusionImageToImage = {
  id: 'fal-ai/fast-lcm-diffusion/image-to-image',
  aliases: [],
  title: 'Latent Consistency Models (v1.5/XL): image to image',
  description: 'Redraw a picture with SDXL or Stable Diffusion 1.5 in a few steps with a latent consistency LoRA.',
  category: 'image-to-image',
  input: z
    .object({ model_name: modelName, prompt, ...startImage, ...startOptions })
    .meta({ title: 'FastLcmDiffusionImageToImageInput' }),
  output: output.meta({ title: 'FastLcmDiffusionImageToImageOutput' }),
  realtime: true,
  ...LATENT_CONSISTENCY,
} as const satisfies EndpointSchema

export const fastLcmDiffusionInpainting = {
  id: 'fal-ai/fast-lcm-diffusion/inpainting',
  aliases: [],
  title: 'Latent Consistency Models (v1.5/XL): inpainting',
  description: 'Redraw a part of a picture with SDXL or Stable Diffusion 1.5 in a few latent consistency steps.',
  category: 'image-to-image',
  input: z
    .object({ model_name: modelName, prompt, ...startImage, mask_url: maskUrl(), ...startOptions })
    .meta({ title: 'FastLcmDiffusionInpaintingInput' }),
  output: output.meta({ title: 'FastLcmDiffusionInpaintingOutput' }),
  realtime: true,
  ...LATENT_CONSISTENCY,
  addedOn: '2026-11-28',
} as const satisfies EndpointSchema
