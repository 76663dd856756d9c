import { z } from 'zod'
import type { EndpointSchema } from '../../endpoint.ts'
import { image } from '../../shared/image.ts'

const PREPROCESSORS = {
  aliases: [],
  category: 'image-to-image',
  realtime: false,
  tags: ['controlnet', 'preprocessor'],
  group: { key: 'image-preprocessors', label: 'Image preprocessors' },
  addedOn: '2026-11-28',
} as const

const imageUrl = z.string().meta({
  title: 'Image Url',
  description: 'URL of the image to process',
  examples: ['https://storage.googleapis.com/falserverless/model_tests/lcm/beach.png'],
  ui: { field: 'image' },
})

const outputOf = (title: string, description: string) =>
  z.object({ image: image.meta({ title: 'Image', description }) }).meta({ title })

const threshold = (title: string, defaultValue: number, description: string) =>
  z.int().min(0).max(2040).default(defaultValue).meta({ title, description })

export const canny = {
  ...PREPROCESSORS,
  id: 'fal-ai/image-preprocessors/canny',
  title: 'Canny edges',
  description: 'The edges of a picture, white on black, as canny ControlNets take them. Needs no model.',
  input: z
    .object({
      image_url: imageUrl,
      low_threshold: threshold('Low Threshold', 100, 'Edges stronger than this appear where stronger ones are nearby.'),
      high_threshold: threshold('High Threshold', 200, 'Edges stronger than this always appear.'),
    })
    .meta({ title: 'CannyInput' }),
  output: outputOf('CannyOutput', 'Image with the edges'),
} as const satisfies EndpointSchema

export const depthAnything = {
  ...PREPROCESSORS,
  id: 'fal-ai/image-preprocessors/depth-anything/v2',
  title: 'Depth Anything v2',
  description: 'How near each pixel is, white for the nearest, as depth ControlNets take it.',
  input: z.object({ image_url: imageUrl }).meta({ title: 'DepthAnythingV2Input' }),
  output: outputOf('DepthAnythingV2Output', 'Image with the depth map'),
} as const satisfies EndpointSchema

export const midasDepth = {
  ...PREPROCESSORS,
  id: 'fal-ai/imageutils/depth',
  title: 'MiDaS depth',
  description: 'How near each pixel is, white for the nearest, as depth ControlNets take it.',
  input: z
    .object({
      image_url: imageUrl,
      a: z.number().default(6.283185307179586).meta({ title: 'A', description: 'Of normal maps, which are not made.' }),
      bg_th: z.number().default(0.1).meta({ title: 'Bg Th', description: 'Of normal maps, which are not made.' }),
      depth_and_normal: z
        .boolean()
        .default(false)
        .meta({ title: 'Depth And Normal', description: 'Accepted; the answer is the depth map.' }),
    })
    .meta({ title: 'DepthMapInput' }),
  output: outputOf('DepthMapOutput', 'The depth map'),
} as const satisfies EndpointSchema

const DRAW_MODES = [
  'full-pose',
  'body-pose',
  'face-pose',
  'hand-pose',
  'face-hand-mask',
  'face-mask',
  'hand-mask',
] as const

export const dwPose = {
  ...PREPROCESSORS,
  id: 'fal-ai/dwpose',
  title: 'DWPose',
  description:
    'The skeletons of the people in a picture, as pose ControlNets take them. Without DWPose, of one of them.',
  input: z
    .object({
      image_url: imageUrl,
      draw_mode: z.enum(DRAW_MODES).default('body-pose').meta({
        title: 'Draw Mode',
        description:
          'What is drawn: skeletons, or where hands and faces are, white on black. Bodies alone need no DWPose.',
      }),
    })
    .meta({ title: 'DWPoseInput' }),
  output: outputOf('DWPoseOutput', 'The pose image'),
} as const satisfies EndpointSchema
