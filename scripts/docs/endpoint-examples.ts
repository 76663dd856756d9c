import type { Input } from '../../playground/src/schema/starting-input.ts'

/** What stands for a file of the reader's in an example's input; each language has its own way to send one. */
export const LOCAL_FILE = 'local-file:'

const PICTURE = `${LOCAL_FILE}picture.jpg`
const MASK = `${LOCAL_FILE}mask.png`
const FACE = `${LOCAL_FILE}face.png`

export interface EndpointExample {
  readonly input: Input
  /** What the page's picture shows; absent where nothing that comes with the program draws it. */
  readonly picture?: string
  /** The local file of the input that is shown in front of it. */
  readonly shown?: string
}

/** The request that an endpoint's page shows as code, and whose answer its picture is. */
export const ENDPOINT_EXAMPLES: Readonly<Record<string, EndpointExample>> = {
  'fal-ai/fast-lcm-diffusion': {
    input: {
      prompt: 'portrait of a king with a golden crown',
      image_size: 'square',
      num_inference_steps: 4,
      guidance_scale: 1,
      seed: 2,
      sync_mode: false,
    },
    picture: 'A king with a golden crown, drawn by the demo checkpoint',
  },
  'fal-ai/fast-lcm-diffusion/image-to-image': {
    input: {
      prompt: 'portrait of a woman with red hair, blue background',
      image_url: PICTURE,
      strength: 0.8,
      seed: 2,
      sync_mode: false,
    },
    picture: 'The king redrawn by another prompt',
  },
  'fal-ai/fast-lcm-diffusion/inpainting': {
    input: {
      prompt: 'portrait of a robot with a golden crown',
      image_url: PICTURE,
      mask_url: MASK,
      seed: 5,
      sync_mode: false,
    },
    picture: 'The king with another face, and what is around it kept',
  },
  'fal-ai/lcm': {
    input: { prompt: 'mountains at dawn', image_size: 'square', guidance_scale: 1, seed: 2, sync_mode: false },
    picture: 'Mountains at dawn, drawn by the demo checkpoint',
  },
  'fal-ai/lcm-sd15-i2i': {
    input: { prompt: 'portrait of a king, neon', image_url: PICTURE, strength: 0.8, seed: 2 },
    picture: 'The king in neon lines',
  },
  'fal-ai/lora': {
    input: {
      model_name: 'pinhole/512',
      prompt: 'portrait of a king',
      image_size: 'square',
      num_inference_steps: 20,
      guidance_scale: 3,
      seed: 4,
      loras: [{ path: 'pinhole/blueprint-lora', scale: 1 }],
    },
    picture: 'A king in pale lines on blue paper, by a style LoRA',
  },
  'fal-ai/lora/image-to-image': {
    input: {
      model_name: 'pinhole/512',
      prompt: 'portrait of a wizard, watercolor',
      image_url: PICTURE,
      noise_strength: 0.8,
      num_inference_steps: 20,
      guidance_scale: 3,
      seed: 4,
    },
    picture: 'The king redrawn as a wizard',
  },
  'fal-ai/lora/inpaint': {
    input: {
      model_name: 'pinhole/512',
      prompt: 'portrait of an astronaut',
      image_url: PICTURE,
      mask_url: MASK,
      noise_strength: 0.9,
      num_inference_steps: 20,
      guidance_scale: 3,
      seed: 4,
    },
    picture: 'The king with another face, and what is around it kept',
  },
  'fal-ai/image-preprocessors/canny': {
    input: { image_url: PICTURE },
    picture: 'The edges of the king',
  },
  'fal-ai/image-preprocessors/depth-anything/v2': { input: { image_url: PICTURE } },
  'fal-ai/imageutils/depth': { input: { image_url: PICTURE } },
  'fal-ai/dwpose': { input: { image_url: PICTURE } },
  'fal-ai/instantid/lcm': {
    input: { face_image_url: FACE, prompt: 'a woman, blue background', style: '(No style)', seed: 4 },
    picture: 'A drawn face, and a woman with its hair and skin, drawn by the demo checkpoint',
    shown: 'face.png',
  },
  'fal-ai/controlnet-ip-adapter': {
    input: {
      prompt: 'portrait of a man',
      reference_image_url: PICTURE,
      reference_pose_image_url: PICTURE,
      ip_archive_url: `${LOCAL_FILE}people.zip`,
      seed: 7,
    },
    picture: 'What the demo checkpoint draws in its place, by its own adapters',
  },
}
