import { PROMPT_EXPANDER_MODELS } from '../../models/prompt-expander-folder.ts'
import { DEPTH_NETWORKS, POSE_NETWORKS, PULLED_FACE_PACK } from '../../models/vision-models.ts'
import type { WeightsKind } from '../../models/weights-kind.ts'

/** A model that an endpoint draws with. */
export interface BundlePart {
  readonly reference: string
  readonly kind: WeightsKind
  /** What it is for, in a few words. */
  readonly purpose: string
  /** Not needed for an endpoint's default input. */
  readonly isOptional?: boolean
}

const SDXL: BundlePart = { reference: 'stabilityai/stable-diffusion-xl-base-1.0', kind: 'base', purpose: 'base model' }
const SD15: BundlePart = {
  reference: 'stable-diffusion-v1-5/stable-diffusion-v1-5',
  kind: 'base',
  purpose: 'base model',
}
const LCM_SDXL: BundlePart = { reference: 'latent-consistency/lcm-lora-sdxl', kind: 'lora', purpose: 'few steps' }
const LCM_SD15: BundlePart = { reference: 'latent-consistency/lcm-lora-sdv1-5', kind: 'lora', purpose: 'few steps' }
const CHECKER_V1: BundlePart = {
  reference: 'CompVis/stable-diffusion-safety-checker',
  kind: 'safety-checker',
  purpose: 'safety checker v1',
}
const CHECKER_V2: BundlePart = {
  reference: 'Falconsai/nsfw_image_detection',
  kind: 'safety-checker',
  purpose: 'safety checker v2',
}
const [, FREE_EXPANDER] = PROMPT_EXPANDER_MODELS
const EXPANDER: BundlePart = { reference: FREE_EXPANDER.name, kind: 'prompt-expander', purpose: 'expand_prompt' }
const detector = (reference: string, purpose: string): BundlePart => ({ reference, kind: 'detector', purpose })
const [DEPTH_ANYTHING, DPT] = DEPTH_NETWORKS
const optional = (part: BundlePart): BundlePart => ({ ...part, isOptional: true })

const FAST_LCM = [
  SDXL,
  LCM_SDXL,
  CHECKER_V1,
  optional(CHECKER_V2),
  optional(SD15),
  optional(LCM_SD15),
  optional(EXPANDER),
]
const LCM_SD15_I2I = [SD15, LCM_SD15, CHECKER_V1, optional(CHECKER_V2), optional(SDXL), optional(LCM_SDXL)]
const POSE = [detector(POSE_NETWORKS.detector, 'people'), detector(POSE_NETWORKS.poser, 'poses')]
const FACES = [PULLED_FACE_PACK.detector, PULLED_FACE_PACK.embedder].map((file) =>
  detector(`${PULLED_FACE_PACK.folder}/${file}`, 'faces'),
)
const controlNet = (reference: string, purpose: string): BundlePart => ({ reference, kind: 'controlnet', purpose })
const INSTANT_ID: readonly BundlePart[] = [
  SDXL,
  LCM_SDXL,
  controlNet('InstantX/InstantID/ControlNetModel', 'holds the face'),
  { reference: 'InstantX/InstantID/ip-adapter.bin', kind: 'ip-adapter', purpose: 'knows the face' },
  ...FACES,
  CHECKER_V1,
  optional(controlNet('diffusers/controlnet-canny-sdxl-1.0', 'edges')),
  optional(controlNet('diffusers/controlnet-depth-sdxl-1.0-small', 'depth')),
  optional(controlNet('thibaud/controlnet-openpose-sdxl-1.0', 'poses')),
]
const CONTROLNET_IP_ADAPTER: readonly BundlePart[] = [
  { reference: 'SG161222/Realistic_Vision_V5.1_noVAE', kind: 'base', purpose: 'base model' },
  controlNet('lllyasviel/control_v11p_sd15_openpose', 'poses'),
  { reference: 'h94/IP-Adapter/models/ip-adapter-plus-face_sd15.safetensors', kind: 'ip-adapter', purpose: 'faces' },
  { reference: 'h94/IP-Adapter/models/image_encoder', kind: 'image-encoder', purpose: 'image prompts' },
  ...POSE,
]
const LORA = [SDXL, optional(SD15), optional(CHECKER_V1)]

/** What endpoints draw with, by their ids. */
export const BUNDLES: Readonly<Record<string, readonly BundlePart[]>> = {
  'fal-ai/fast-lcm-diffusion': FAST_LCM,
  'fal-ai/fast-lcm-diffusion/image-to-image': FAST_LCM,
  'fal-ai/fast-lcm-diffusion/inpainting': FAST_LCM,
  'fal-ai/lcm': LCM_SD15_I2I,
  'fal-ai/lcm-sd15-i2i': LCM_SD15_I2I,
  'fal-ai/lora': LORA,
  'fal-ai/lora/image-to-image': LORA,
  'fal-ai/lora/inpaint': LORA,
  'fal-ai/image-preprocessors/canny': [],
  'fal-ai/image-preprocessors/depth-anything/v2': [detector(DEPTH_ANYTHING.reference, 'depth')],
  'fal-ai/imageutils/depth': [detector(DPT.reference, 'depth')],
  'fal-ai/dwpose': POSE,
  'fal-ai/instantid/lcm': INSTANT_ID,
  'fal-ai/controlnet-ip-adapter': CONTROLNET_IP_ADAPTER,
}
