import { z } from 'zod'
import type { EndpointSchema } from '../../endpoint.ts'
import { hiddenSafetyChecker, negativePrompt, promptText, seedInput, seedOutput } from '../../shared/fields.ts'
import { image } from '../../shared/image.ts'
import { STYLES, type Style } from './styles.ts'

const scale = (title: string, defaultValue: number, description: string) =>
  z.number().min(0).max(2).default(defaultValue).meta({ title, description })

export const instantIdLcm = {
  id: 'fal-ai/instantid/lcm',
  aliases: [],
  title: 'Instant ID (LCM)',
  description: 'Draw the person of a photograph in other scenes and styles, in a few latent consistency steps.',
  category: 'image-to-image',
  input: z
    .object({
      face_image_url: z.string().meta({
        title: 'Face Image Url',
        description: 'URL of the image that shows the face.',
        ui: { field: 'image' },
      }),
      prompt: promptText().meta({
        title: 'Prompt',
        description: 'The prompt to use for generating the image. Be as descriptive as possible for best results.',
        examples: ['a person reading a book in a cafe'],
      }),
      style: z
        .enum(Object.keys(STYLES) as [Style, ...Style[]])
        .default('Headshot')
        .meta({ title: 'Style', description: 'The style to draw in: words that are added to the prompts.' }),
      negative_prompt: negativePrompt(),
      num_inference_steps: z.int().min(1).max(50).default(5).meta({
        title: 'Num Inference Steps',
        description: 'The number of denoising steps; 1 to 12 suit latent consistency.',
      }),
      guidance_scale: z.number().min(0).max(20).default(1.5).meta({
        title: 'Guidance Scale',
        description:
          'Classifier-free guidance: how closely the image follows the prompt; 0.1 to 2 suit latent consistency.',
      }),
      controlnet_selection: z.enum(['pose', 'canny', 'depth']).nullable().default('canny').meta({
        title: 'Controlnet Selection',
        description: 'What the picture takes over from the face image beside the face; nothing when null.',
      }),
      controlnet_conditioning_scale: scale(
        'Controlnet Conditioning Scale',
        0.4,
        'How strongly the selected ControlNet guides the picture.',
      ),
      ip_adapter_scale: scale('Ip Adapter Scale', 0.7, 'How strongly the face is in the picture’s details.'),
      identity_controlnet_conditioning_scale: scale(
        'Identity Controlnet Conditioning Scale',
        0.7,
        'How strongly the key points of the face guide the picture.',
      ),
      enhance_face_region: z.boolean().default(true).meta({
        title: 'Enhance Face Region',
        description: 'If set to true, the face guides the region of the face only.',
      }),
      seed: seedInput(),
      model_name: z
        .string()
        .nullish()
        .meta({
          title: 'Model Name',
          description: 'URL or Hugging Face ID of an SDXL model to draw with.',
          examples: ['stabilityai/stable-diffusion-xl-base-1.0'],
          fetched: 'weights',
        }),
      enable_safety_checker: hiddenSafetyChecker(),
    })
    .meta({ title: 'InstantidLcmInput' }),
  output: z
    .object({
      image: image.meta({ title: 'Image', description: 'The generated image file info.' }),
      seed: seedOutput(),
    })
    .meta({ title: 'InstantidLcmOutput' }),
  realtime: true,
  tags: ['diffusion', 'lcm', 'face', 'identity'],
  group: { key: 'instantid', label: 'Instant ID' },
  addedOn: '2026-11-28',
} as const satisfies EndpointSchema
