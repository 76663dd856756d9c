/** Golden cases of the engine as inputs of the lora endpoints. */
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { encodeImage, type RgbImage } from '@darkroom/engine'
import { conditioningPrompts, maskPicture, picture } from '../../../engine/test/golden/conditioning-cases.ts'
import type { PipelineCase } from '../../../engine/test/golden/pipeline-cases.ts'
import { GOLDEN } from './lora-server.ts'

/** A case of scripts/golden/conditioning.py or lora_fields.py. */
export interface RequestedConditions {
  readonly name: string
  readonly checkpoint: string
  readonly width: number
  readonly height: number
  readonly steps: number
  readonly guidance_scale: number
  readonly scheduler?: string
  readonly clip_skip: number
  readonly seed: number
  readonly controlnets: readonly {
    readonly model: string
    readonly image: number
    readonly scale: number
    readonly start: number
    readonly end: number
    readonly mask: string | null
    readonly tokens: number | null
    /** Changes of its config. */
    readonly config?: object
  }[]
  readonly guess_mode: boolean
  readonly image_prompts: readonly {
    readonly adapter: string
    readonly images: readonly number[] | null
    readonly masks: readonly string[] | null
    readonly scale: number
    readonly scale_json: object | null
    readonly noise?: number
  }[]
  /** Width, height and the strides. */
  readonly tile: readonly number[] | null
  readonly ic_light: { readonly model: string; readonly image: number; readonly background: number | null } | null
  readonly loras: readonly (readonly (string | number)[])[]
  readonly embedding: boolean
}

const EMBEDDINGS: Readonly<Record<string, string>> = { 'tiny-sd15': 'diffusers', 'tiny-sdxl': 'pivotal' }

export function inputOf(request: PipelineCase): Record<string, unknown> & LoraInput {
  return {
    model_name: `checkpoints/${request.checkpoint}`,
    prompt: request.prompt,
    negative_prompt: request.negative_prompt,
    image_size: { width: request.width, height: request.height },
    num_inference_steps: request.steps,
    guidance_scale: request.guidance_scale,
    scheduler: request.scheduler,
    eta: request.eta,
    clip_skip: request.clip_skip,
    seed: BigInt(request.seed) < 2n ** 53n ? Number(request.seed) : request.seed,
    num_images: request.num_images,
    prediction_type: request.prediction_type,
    ...(request.timesteps && { timesteps: { method: 'array', array: request.timesteps } }),
    ...(request.sigmas && { sigmas: { method: 'array', array: request.sigmas } }),
    debug_latents: true,
    debug_per_pass_latents: true,
  }
}

export interface LoraInput {
  readonly model_name: string
  readonly prompt: string
}

export async function dataUri(image: RgbImage): Promise<string> {
  return `data:image/png;base64,${Buffer.from(await encodeImage(image, 'png')).toString('base64')}`
}

/** A ControlNet's config with some fields changed. */
async function controlConfig(model: string, changes: object): Promise<string> {
  const config = JSON.parse(await readFile(join(GOLDEN, 'conditioning', model, 'config.json'), 'utf8')) as object
  const text = JSON.stringify({ ...config, ...changes })
  return `data:application/json;base64,${Buffer.from(text).toString('base64')}`
}

export async function conditionedInput(request: RequestedConditions): Promise<Record<string, unknown> & LoraInput> {
  const { width, height, ic_light } = request
  // Both ways of naming files, one for each base.
  const names = request.checkpoint === 'tiny-sdxl' ? 'folders' : 'paths'
  const controlnets = request.controlnets.map(async (control) => ({
    path: `conditioning/${control.model}`,
    ...(control.config && { config_url: await controlConfig(control.model, control.config) }),
    control_image_url: await dataUri(picture(control.image, 60, 60)),
    ...(control.mask !== null && { mask_url: await dataUri(maskPicture(control.mask, 60, 60)) }),
    conditioning_scale: control.scale,
    start_percentage: control.start,
    end_percentage: control.end,
    ip_adapter_index: control.tokens,
  }))
  const adapters = request.image_prompts.map(async (prompt) => {
    const file = join('conditioning', `${prompt.adapter}.safetensors`)
    const images = await Promise.all((prompt.images ?? []).map((seed) => dataUri(picture(seed, 40, 30))))
    return {
      ...(names === 'paths' ? { path: file } : { path: dirname(file), weight_name: basename(file) }),
      ip_adapter_image_url: images.length === 1 ? images[0] : images,
      ...(prompt.masks && { ip_adapter_mask_url: await dataUri(maskPicture(prompt.masks[0] as string, 50, 50)) }),
      scale: prompt.scale,
      scale_json: prompt.scale_json,
      ...(prompt.noise !== undefined && { unconditional_noising_factor: prompt.noise }),
    }
  })
  return {
    model_name: `checkpoints/${request.checkpoint}`,
    prompt: conditioningPrompts.prompt,
    negative_prompt: conditioningPrompts.negativePrompt,
    image_size: { width, height },
    num_inference_steps: request.steps,
    guidance_scale: request.guidance_scale,
    scheduler: request.scheduler ?? 'DDIM',
    clip_skip: request.clip_skip,
    seed: request.seed,
    loras: request.loras.map(([name, scale]) => ({ path: `lora/${name}.safetensors`, scale })),
    embeddings: request.embedding
      ? [{ path: `textual-inversion/${EMBEDDINGS[request.checkpoint]}.safetensors`, tokens: ['<cat-toy>'] }]
      : [],
    ...(request.tile && {
      tile_width: request.tile[0],
      tile_height: request.tile[1],
      tile_stride_width: request.tile[2],
      tile_stride_height: request.tile[3],
    }),
    controlnets: await Promise.all(controlnets),
    controlnet_guess_mode: request.guess_mode,
    ip_adapter: await Promise.all(adapters),
    ...(names === 'paths'
      ? { image_encoder_path: 'conditioning/image-encoder' }
      : {
          image_encoder_path: 'conditioning',
          image_encoder_subfolder: 'image-encoder',
          image_encoder_weight_name: 'model.safetensors',
        }),
    ...(ic_light && {
      ic_light_model_url: `conditioning/${ic_light.model}.safetensors`,
      ic_light_image_url: await dataUri(picture(ic_light.image, 50, 41)),
      ...(ic_light.background !== null && {
        ic_light_model_background_image_url: await dataUri(picture(ic_light.background, 50, 41)),
      }),
    }),
    debug_latents: true,
  }
}
