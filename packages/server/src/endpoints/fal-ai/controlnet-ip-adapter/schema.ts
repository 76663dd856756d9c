import { z } from 'zod'
import type { EndpointSchema } from '../../endpoint.ts'
import { hiddenSafetyChecker, negativePrompt, promptText, seedInput, seedOutput, timings } from '../../shared/fields.ts'
import { image } from '../../shared/image.ts'

const imageField = (title: string, description: string) =>
  z.string().meta({ title, description, ui: { field: 'image' } })

export const controlNetIpAdapter = {
  id: 'fal-ai/controlnet-ip-adapter',
  aliases: [],
  title: 'ControlNet and IP-Adapter',
  description: 'Draw the subject of a few pictures in the pose of another, starting from a third.',
  category: 'image-to-image',
  input: z
    .object({
      prompt: promptText().meta({
        title: 'Prompt',
        description: 'The prompt to use for generating the image. Be as descriptive as possible for best results.',
        examples: ['portrait of a man'],
      }),
      negative_prompt: negativePrompt(),
      reference_image_url: imageField('Reference Image Url', 'URL of the image to use as the base image.'),
      reference_pose_image_url: imageField('Reference Pose Image Url', 'URL of the image whose pose is taken over.'),
      ip_archive_url: z.string().meta({
        title: 'Ip Archive Url',
        description: 'URL of an archive (zip, tar, tar.gz) with the image prompts.',
        fetched: 'file',
      }),
      seed: seedInput(),
      enable_safety_checker: hiddenSafetyChecker(),
    })
    .meta({ title: 'ControlnetIpAdapterInput' }),
  output: z
    .object({
      images: z.array(image).meta({ title: 'Images', description: 'The generated image files info.' }),
      seed: seedOutput(),
      timings: timings(),
    })
    .meta({ title: 'ControlnetIpAdapterOutput' }),
  realtime: false,
  tags: ['diffusion', 'controlnet', 'ip-adapter', 'pose'],
  group: { key: 'stable-diffusion', label: 'Stable Diffusion' },
  addedOn: '2026-11-28',
} as const satisfies EndpointSchema
