import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/**
 * What the live service draws with where its pages do not say: models by reference, and numbers. An operator may change each in the file
 * that `DARKROOM_RECIPES` names.
 */
const recipes = z.strictObject({
  'fal-ai/instantid/lcm': z
    .strictObject({
      model: z.string().default('stabilityai/stable-diffusion-xl-base-1.0'),
      /** Empty for a model that has its LCM-LoRA in it. */
      lcm_lora: z.string().default('latent-consistency/lcm-lora-sdxl'),
      identity_controlnet: z.string().default('InstantX/InstantID/ControlNetModel'),
      ip_adapter: z.string().default('InstantX/InstantID/ip-adapter.bin'),
      canny_controlnet: z.string().default('diffusers/controlnet-canny-sdxl-1.0'),
      depth_controlnet: z.string().default('diffusers/controlnet-depth-sdxl-1.0-small'),
      pose_controlnet: z.string().default('thibaud/controlnet-openpose-sdxl-1.0'),
      /** Pixels of the picture's sides: the shorter one is brought to the first, then the longer one to the second. */
      shorter_side: z.int().min(64).default(1024),
      longer_side: z.int().min(64).default(1280),
    })
    .prefault({}),
  'fal-ai/controlnet-ip-adapter': z
    .strictObject({
      model: z.string().default('SG161222/Realistic_Vision_V5.1_noVAE'),
      ip_adapter: z.string().default('h94/IP-Adapter'),
      ip_adapter_subfolder: z.string().default('models'),
      ip_adapter_weight_name: z.string().default('ip-adapter-plus-face_sd15.safetensors'),
      /** Empty: the one beside the adapter's weights. */
      image_encoder: z.string().default(''),
      ip_adapter_scale: z.number().default(0.7),
      pose_controlnet: z.string().default('lllyasviel/control_v11p_sd15_openpose'),
      pose_controlnet_scale: z.number().default(1),
      strength: z.number().min(0).max(1).default(0.8),
      steps: z.int().min(1).default(30),
      guidance_scale: z.number().default(7),
    })
    .prefault({}),
})

export type Recipes = z.output<typeof recipes>

export const DEFAULT_RECIPES: Recipes = recipes.parse({})

/**
 * Reads the operator's recipes; what the file leaves out is the default.
 * @throws Error in one line, when the file cannot be read or a field is none
 */
export async function readRecipes(file: string | undefined): Promise<Recipes> {
  if (file === undefined) return DEFAULT_RECIPES
  let json: unknown
  try {
    json = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new Error(`DARKROOM_RECIPES: ${file} must be a JSON file: ${(cause as Error).message}`, { cause })
  }
  const result = recipes.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const place = issue?.path.length ? `${issue.path.join('.')}: ` : ''
  throw new Error(`DARKROOM_RECIPES: ${file}: ${place}${issue?.message}`)
}
