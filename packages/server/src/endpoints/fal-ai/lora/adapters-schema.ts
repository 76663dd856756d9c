/** The nested objects of the lora endpoints: what a request applies to the base model. */
import { z } from 'zod'
import { nameText } from '../../shared/fields.ts'

const path = (description: string) => z.string().meta({ title: 'Path', description, fetched: 'weights' })

const scale = (what: string) =>
  z
    .number()
    .default(1)
    .meta({ title: 'Scale', description: `How strongly ${what} is applied; 1 is as it was trained.` })

const url = (title: string, description: string) => z.string().meta({ title, description, ui: { field: 'image' } })

/** A field by the name that it has in the types of newer clients; accepted beside the endpoint's own. */
const otherName = (title: string) => nameText().nullish().meta({ title, hidden: true })
const otherImageName = (title: string) => z.string().nullish().meta({ title, hidden: true, fetched: 'file' })

/** A required field, unless the other name of it is given. */
function withOtherName<T extends z.ZodType>(field: T, other: string) {
  return field.optional().meta({ ...field.meta(), requiredUnless: other })
}

/** Learned vectors of one file. */
const MOST_TOKENS = 256

/** Pictures of one image prompt; each goes through the image encoder. */
const MOST_PICTURES = 32

const share = (title: string, defaultValue: number, description: string) =>
  z.number().min(0).max(1).default(defaultValue).meta({ title, description })

export const loraWeight = z
  .object({
    path: path('URL or the path to the LoRA weights, or a Hugging Face model name.'),
    scale: scale('the LoRA'),
  })
  .meta({ id: 'LoraWeight', title: 'LoraWeight' })

export const embedding = z
  .object({
    path: path('URL or the path to the embedding weights.'),
    tokens: z
      .array(nameText())
      .max(MOST_TOKENS)
      .default(['<s0>', '<s1>'])
      .meta({ title: 'Tokens', description: 'The tokens of the prompt that stand for the rows of the embedding.' }),
  })
  .meta({ id: 'Embedding', title: 'Embedding' })

export const controlNet = z
  .object({
    path: path('URL or the path to the ControlNet weights, or a Hugging Face model name.'),
    config_url: z.string().nullish().meta({
      title: 'Config Url',
      description: 'URL of the ControlNet’s config.json, for a single file of weights.',
      fetched: 'file',
    }),
    variant: nameText()
      .nullish()
      .meta({ title: 'Variant', description: 'The variant of the weights of a Hugging Face model, such as fp16.' }),
    image_url: withOtherName(
      url('Image Url', 'URL of the image to be used as the control image.'),
      'control_image_url',
    ),
    control_image_url: otherImageName('Control Image Url'),
    mask_url: url(
      'Mask Url',
      'URL of a mask of the size of the control image, whose sides are divisible by 32: where it is black the ControlNet has no say.',
    ).nullish(),
    mask_image_url: otherImageName('Mask Image Url'),
    conditioning_scale: z.number().default(1).meta({
      title: 'Conditioning Scale',
      description: 'How strongly the ControlNet guides the picture.',
    }),
    start_percentage: share('Start Percentage', 0, 'The share of the steps after which the ControlNet begins.'),
    end_percentage: share('End Percentage', 1, 'The share of the steps after which the ControlNet ends.'),
    ip_adapter_index: z.int().nullish().meta({
      title: 'Ip Adapter Index',
      description: 'The IP-Adapter whose image tokens this ControlNet reads in place of the prompt (InstantID’s).',
    }),
  })
  .meta({ id: 'ControlNet', title: 'ControlNet' })

export const ipAdapter = z
  .object({
    ip_adapter_image_url: withOtherName(
      z.union([z.string(), z.array(z.string()).max(MOST_PICTURES)]).meta({
        title: 'Ip Adapter Image Url',
        description: 'URL of the image prompt, or several of them.',
        ui: { field: 'image' },
      }),
      'image_url',
    ),
    image_url: otherImageName('Image Url'),
    ip_adapter_mask_url: url(
      'Ip Adapter Mask Url',
      'URL of a mask of the image prompt: where it is black the adapter has no say.',
    ).nullish(),
    mask_image_url: otherImageName('Mask Image Url'),
    path: path('URL or the path to the IP-Adapter weights, or a Hugging Face model name.'),
    model_subfolder: nameText()
      .nullish()
      .meta({ title: 'Model Subfolder', description: 'Folder of the weights within a Hugging Face model.' }),
    subfolder: otherName('Subfolder'),
    weight_name: nameText()
      .nullish()
      .meta({ title: 'Weight Name', description: 'File name of the weights within the model’s folder.' }),
    insight_face_model_path: nameText().nullish().meta({
      title: 'Insight Face Model Path',
      description:
        'What tells faces apart, for FaceID and InstantID adapters: antelopev2, buffalo_l, pinhole/face (drawn portraits), a Hugging Face model or folder with a pack’s files, or one recognition network (.onnx). Without it the face analysis models that are on this server.',
    }),
    scale: scale('the adapter'),
    scale_json: z.record(z.string(), z.unknown()).nullish().meta({
      title: 'Scale Json',
      description: 'Scales by block, {"down": {"block_2": [0, 1]}, "up": …}; blocks that are not named have 0.',
    }),
    unconditional_noising_factor: z.number().min(0).max(1).nullish().meta({
      title: 'Unconditional Noising Factor',
      description: 'How much noise stands in for the image prompt on the unconditional side of the guidance.',
    }),
    image_projection_shortcut: z.boolean().default(true).meta({
      title: 'Image Projection Shortcut',
      description: 'True for FaceID-Plus v2, false for FaceID-Plus v1.',
    }),
  })
  .meta({ id: 'IPAdapter', title: 'IPAdapter' })

const method = z
  .enum(['default', 'array'])
  .default('default')
  .meta({ title: 'Method', description: 'Whether the scheduler’s own schedule is used or that of `array`.' })

export const timestepsInput = z
  .object({
    method,
    array: z.array(z.int()).max(1000).default([]).meta({ title: 'Array', description: 'Timesteps, descending.' }),
  })
  .meta({ id: 'TimestepsInput', title: 'TimestepsInput' })

export const sigmasInput = z
  .object({
    method,
    array: z
      .array(z.number())
      .max(1001)
      .default([])
      .meta({ title: 'Array', description: 'Noise levels, descending, with the final 0.' }),
  })
  .meta({ id: 'SigmasInput', title: 'SigmasInput' })
