import { z } from 'zod'
import type { EndpointSchema } from '../../endpoint.ts'
import {
  guidanceScale,
  maskUrl,
  nameText,
  negativePrompt,
  numImages,
  promptText,
  seedInput,
  seedOutput,
} from '../../shared/fields.ts'
import { file, image } from '../../shared/image.ts'
import { imageSize } from '../../shared/image-size.ts'
import { controlNet, embedding, ipAdapter, loraWeight, sigmasInput, timestepsInput } from './adapters-schema.ts'

const SCHEDULERS = [
  'DPM++ 2M',
  'DPM++ 2M Karras',
  'DPM++ 2M SDE',
  'DPM++ 2M SDE Karras',
  'Euler',
  'Euler A',
  'Euler (trailing timesteps)',
  'LCM',
  'LCM (trailing timesteps)',
  'DDIM',
  'TCD',
] as const

/** Lists of adapters are as long as anybody needs; each entry costs a download and a place in memory. */
const LONGEST_LIST = 32

const optionalText = (title: string, description: string) => nameText().nullish().meta({ title, description })
const optionalWeights = (title: string, description: string) =>
  z.string().nullish().meta({ title, description, fetched: 'weights' })
const optionalImage = (title: string, description: string) =>
  z
    .string()
    .nullish()
    .meta({ title, description, ui: { field: 'image' } })
const flag = (title: string, description: string) => z.boolean().default(false).meta({ title, description })
const tileSide = (title: string) =>
  z.int().min(128).max(4096).default(4096).meta({ title, description: 'The size of the tiles, in pixels.' })
const tileStride = (title: string) =>
  z
    .int()
    .min(64)
    .max(2048)
    .default(2048)
    .meta({ title, description: 'How far the tiles are apart, in pixels; the size of a tile at most.' })

const model = {
  model_name: z.string().meta({
    title: 'Model Name',
    description: 'URL or Hugging Face ID of the base model to generate the image.',
    examples: ['stabilityai/stable-diffusion-xl-base-1.0', 'SG161222/Realistic_Vision_V2.0'],
    fetched: 'weights',
  }),
  unet_name: optionalWeights(
    'Unet Name',
    'URL or Hugging Face ID of a UNet that takes the place of the base model’s own.',
  ),
  variant: optionalText('Variant', 'The variant of the weights of a Hugging Face model, such as fp16.'),
}

const prompts = {
  prompt: promptText().meta({
    title: 'Prompt',
    description: 'The prompt to use for generating the image. Be as descriptive as possible for best results.',
    examples: [
      'photo of a rhino dressed suit and tie sitting at a table in a bar with a bar stools, award winning photography',
    ],
  }),
  negative_prompt: negativePrompt(),
  prompt_weighting: flag(
    'Prompt Weighting',
    'If set to true, the prompt weighting syntax is used, and prompts may be longer than 77 tokens.',
  ),
}

const adapters = {
  loras: z
    .array(loraWeight)
    .max(LONGEST_LIST)
    .default([])
    .meta({ title: 'Loras', description: 'The LoRAs to use: any number of them, applied together.' }),
  embeddings: z.array(embedding).max(1).default([]).meta({
    title: 'Embeddings',
    description: 'The embedding to use (one at most): its rows stand for tokens of the prompt.',
  }),
  controlnets: z
    .array(controlNet)
    .max(LONGEST_LIST)
    .default([])
    .meta({ title: 'Controlnets', description: 'The ControlNets to use: any number of them.' }),
  controlnet_guess_mode: flag(
    'Controlnet Guess Mode',
    'If set to true, the ControlNets see only the conditional half of the guidance.',
  ),
  ip_adapter: z
    .array(ipAdapter)
    .max(LONGEST_LIST)
    .default([])
    .meta({ title: 'Ip Adapter', description: 'The IP-Adapters to use, each with its image prompt.' }),
  image_encoder_path: optionalWeights(
    'Image Encoder Path',
    'URL or Hugging Face ID of the IP-Adapters’ image encoder.',
  ),
  image_encoder_subfolder: optionalText('Image Encoder Subfolder', 'Folder of the image encoder within the model.'),
  image_encoder_weight_name: nameText()
    .default('pytorch_model.bin')
    .meta({ title: 'Image Encoder Weight Name', description: 'File name of the image encoder’s weights.' }),
  ic_light_model_url: optionalWeights(
    'Ic Light Model Url',
    'URL or path of the IC-Light weights (Stable Diffusion 1.5 only).',
  ),
  ic_light_model_background_image_url: optionalImage(
    'Ic Light Model Background Image Url',
    'URL of the background, for IC-Light weights that take one.',
  ),
  ic_light_image_url: optionalImage('Ic Light Image Url', 'URL of the picture whose subject is to be lit anew.'),
}

const sampling = {
  seed: seedInput(),
  num_inference_steps: z.int().min(1).max(150).default(30).meta({
    title: 'Num Inference Steps',
    description: 'The number of denoising steps. More steps take longer and mostly look better.',
  }),
  guidance_scale: guidanceScale(7.5),
  clip_skip: z
    .int()
    .min(0)
    .max(2)
    .default(0)
    .meta({ title: 'Clip Skip', description: 'Layers of the text encoder to leave out at the end.' }),
  scheduler: z
    .enum(SCHEDULERS)
    .nullish()
    .meta({ title: 'Scheduler', description: 'The scheduler to use; the model’s own when absent.' }),
  timesteps: timestepsInput.default({ method: 'default', array: [] }).meta({
    title: 'Timesteps',
    description: 'Timesteps in place of the scheduler’s own, for schedulers that take them.',
  }),
  sigmas: sigmasInput.default({ method: 'default', array: [] }).meta({
    title: 'Sigmas',
    description: 'Noise levels in place of the scheduler’s own, for schedulers that take them.',
  }),
  prediction_type: z.enum(['epsilon', 'v_prediction']).nullish().meta({
    title: 'Prediction Type',
    description: 'What the model predicts; what its configuration says when absent.',
  }),
  rescale_betas_snr_zero: flag(
    'Rescale Betas Snr Zero',
    'Whether the noise schedule is rescaled to end in noise alone.',
  ),
  eta: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .meta({ title: 'Eta', description: 'Stochasticity of the schedulers DDIM and TCD.' }),
}

const results = {
  image_format: z
    .enum(['jpeg', 'png'])
    .default('png')
    .meta({ title: 'Image Format', description: 'The format of the generated image.' }),
  num_images: numImages(),
  enable_safety_checker: flag('Enable Safety Checker', 'If set to true, the safety checker will be enabled.'),
  tile_width: tileSide('Tile Width'),
  tile_height: tileSide('Tile Height'),
  tile_stride_width: tileStride('Tile Stride Width'),
  tile_stride_height: tileStride('Tile Stride Height'),
  debug_latents: flag('Debug Latents', 'If set to true, the final latents are saved as a safetensors file.'),
  debug_per_pass_latents: flag(
    'Debug Per Pass Latents',
    'If set to true, the latents after each step are saved as a safetensors file.',
  ),
  sync_mode: z
    .boolean()
    .default(false)
    .meta({ title: 'Sync Mode', description: 'If true, the images come back as data URIs.', hidden: true }),
}

const output = z.object({
  images: z.array(image).meta({ title: 'Images', description: 'The generated image files info.' }),
  seed: seedOutput(),
  has_nsfw_concepts: z.array(z.boolean()).meta({
    title: 'Has Nsfw Concepts',
    description: 'Whether the generated images contain NSFW concepts.',
  }),
  debug_latents: file
    .nullish()
    .meta({ title: 'Debug Latents', description: 'The final latents: `latents`, [images, 4, h, w].' }),
  debug_per_pass_latents: file.nullish().meta({
    title: 'Debug Per Pass Latents',
    description: 'The latents after each step: `latents`, [steps, images, 4, h, w].',
  }),
})

const LORA = {
  tags: ['diffusion', 'lora', 'controlnet', 'ip-adapter'],
  group: { key: 'stable-diffusion', label: 'Stable Diffusion' },
  addedOn: '2026-11-28',
  aliases: [],
  realtime: false,
} as const

export const lora = {
  id: 'fal-ai/lora',
  title: 'Stable Diffusion with LoRAs',
  description: 'Run any Stable Diffusion model with LoRAs, embeddings, ControlNets, IP-Adapters and IC-Light.',
  category: 'text-to-image',
  input: z
    .object({
      ...model,
      ...prompts,
      ...adapters,
      image_size: imageSize
        .default('square_hd')
        .meta({ title: 'Image Size', description: 'The size of the image; sides are multiples of 8.' }),
      ...sampling,
      ...results,
    })
    .meta({ title: 'LoraInput' }),
  output: output.meta({ title: 'LoraOutput' }),
  ...LORA,
} as const satisfies EndpointSchema

const noiseStrength = z.number().min(0).max(1).default(0.5).meta({
  title: 'Noise Strength',
  description:
    'How far the picture may move away from the input: near 0 keeps it, 1 ignores it. This share of the steps is run, one at least.',
})

/** Another name of it, which wins where both are given. */
const strength = z.number().min(0).max(1).nullish().meta({ title: 'Strength', hidden: true })

/** What stands before and behind the mask where a picture is redrawn. */
const picture = {
  ...model,
  ...prompts,
  image_url: z.string().meta({
    title: 'Image Url',
    description: 'URL of the image to start from.',
    ui: { field: 'image' },
  }),
}
const redrawing = { noise_strength: noiseStrength, strength, ...adapters, ...sampling, ...results }

export const loraImageToImage = {
  id: 'fal-ai/lora/image-to-image',
  title: 'Stable Diffusion with LoRAs: image to image',
  description: 'Redraw a picture with any Stable Diffusion model and LoRAs, embeddings, ControlNets and IP-Adapters.',
  category: 'image-to-image',
  input: z.object({ ...picture, ...redrawing }).meta({ title: 'LoraImageToImageInput' }),
  output: output.meta({ title: 'LoraImageToImageOutput' }),
  ...LORA,
} as const satisfies EndpointSchema

export const loraInpaint = {
  id: 'fal-ai/lora/inpaint',
  title: 'Stable Diffusion with LoRAs: inpainting',
  description: 'Redraw a part of a picture with any Stable Diffusion model, inpainting models included.',
  category: 'image-to-image',
  input: z.object({ ...picture, mask_url: maskUrl(), ...redrawing }).meta({ title: 'LoraInpaintInput' }),
  output: output.meta({ title: 'LoraInpaintOutput' }),
  ...LORA,
} as const satisfies EndpointSchema
