import type { Input } from '../../playground/src/schema/starting-input.ts'
import { LOCAL_FILE } from './endpoint-examples.ts'

/** A request whose picture an endpoint's page shows beside that of the same request without one of its fields. */
export interface FieldExample {
  readonly field: string
  /** Name of its picture, without extension. */
  readonly name: string
  /** What is to be seen, beginning with what the field is given. */
  readonly says: string
  readonly input: Input
  /** The local file of the input that is shown in front of the pictures. */
  readonly shown?: string
}

const DRAWN = {
  model_name: 'pinhole/512',
  image_size: 'square',
  num_inference_steps: 20,
  guidance_scale: 3,
  seed: 4,
}

const control = (name: string, prompt: string): Pick<FieldExample, 'field' | 'input' | 'shown'> => ({
  field: 'controlnets',
  input: { ...DRAWN, prompt, controlnets: [{ path: `pinhole/${name}`, image_url: `${LOCAL_FILE}${name}.png` }] },
  shown: `${name}.png`,
})

/** By endpoint id. All of them are drawn with what comes with the program. */
export const FIELD_EXAMPLES: Readonly<Record<string, readonly FieldExample[]>> = {
  'fal-ai/lora': [
    {
      field: 'loras',
      name: 'lora-loras',
      says: '`pinhole/woodcut-lora` draws in dark ink on paper',
      input: { ...DRAWN, prompt: 'mountains at sunset', loras: [{ path: 'pinhole/woodcut-lora', scale: 1 }] },
    },
    {
      field: 'embeddings',
      name: 'lora-embeddings',
      says: '`pinhole/style-embedding` gives `<pinhole-style>` a meaning: dusk',
      input: {
        ...DRAWN,
        prompt: 'a woman in the forest, <pinhole-style> style',
        embeddings: [{ path: 'pinhole/style-embedding', tokens: ['<pinhole-style>'] }],
      },
    },
    {
      ...control('canny', 'a red apple on a yellow background'),
      name: 'lora-controlnets-canny',
      says: '`pinhole/canny` draws along the edges of a control image',
    },
    {
      ...control('pose', 'a woman, blue background'),
      name: 'lora-controlnets-pose',
      says: '`pinhole/pose` puts head and shoulders where a skeleton has them',
    },
    {
      ...control('depth', 'a red circle on a yellow background'),
      name: 'lora-controlnets-depth',
      says: '`pinhole/depth` puts what is near where a depth map is bright',
    },
    {
      field: 'ip_adapter',
      name: 'lora-ip-adapter',
      says: '`pinhole/ip-adapter` takes colours and the kind of subject from a picture; the prompt says "a picture"',
      input: {
        ...DRAWN,
        prompt: 'a picture',
        ip_adapter: [{ path: 'pinhole/ip-adapter', ip_adapter_image_url: `${LOCAL_FILE}picture.jpg` }],
      },
      shown: 'picture.jpg',
    },
    {
      field: 'ip_adapter',
      name: 'lora-ip-adapter-identity',
      says: '`pinhole/instantid` takes hair and skin from a drawn face, which `pinhole/face` finds',
      input: {
        ...DRAWN,
        prompt: 'a woman, blue background',
        ip_adapter: [
          {
            path: 'pinhole/instantid',
            ip_adapter_image_url: `${LOCAL_FILE}face.png`,
            insight_face_model_path: 'pinhole/face',
          },
        ],
      },
      shown: 'face.png',
    },
  ],
}
