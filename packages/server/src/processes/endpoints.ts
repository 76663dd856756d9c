import type { ImageEngine } from '../drawing/image-engine.ts'
import type { EndpointSchema, RunnableEndpoint } from '../endpoints/endpoint.ts'
import { controlNetIpAdapter } from '../endpoints/fal-ai/controlnet-ip-adapter/schema.ts'
import {
  fastLcmDiffusion,
  fastLcmDiffusionImageToImage,
  fastLcmDiffusionInpainting,
} from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { canny, depthAnything, dwPose, midasDepth } from '../endpoints/fal-ai/image-preprocessors/schema.ts'
import { instantIdLcm } from '../endpoints/fal-ai/instantid-lcm/schema.ts'
import { lcm, lcmSd15ImageToImage } from '../endpoints/fal-ai/lcm/schema.ts'
import { lora, loraImageToImage, loraInpaint } from '../endpoints/fal-ai/lora/schema.ts'

/** A folder of `endpoints/`: what the gateway knows of it, and its handlers, which only a runner loads: they load the engine. */
export interface EndpointFolder {
  readonly schemas: readonly EndpointSchema[]
  handlers(): Promise<{ createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] }>
}

/** Every endpoint of this server. One more is a folder of its own and a line here. */
export const ENDPOINT_FOLDERS: readonly EndpointFolder[] = [
  {
    schemas: [fastLcmDiffusion, fastLcmDiffusionImageToImage, fastLcmDiffusionInpainting],
    handlers: () => import('../endpoints/fal-ai/fast-lcm-diffusion/handler.ts'),
  },
  { schemas: [lcmSd15ImageToImage, lcm], handlers: () => import('../endpoints/fal-ai/lcm/handler.ts') },
  {
    schemas: [lora, loraImageToImage, loraInpaint],
    handlers: () => import('../endpoints/fal-ai/lora/handler.ts'),
  },
  {
    schemas: [canny, depthAnything, midasDepth, dwPose],
    handlers: () => import('../endpoints/fal-ai/image-preprocessors/handler.ts'),
  },
  { schemas: [instantIdLcm], handlers: () => import('../endpoints/fal-ai/instantid-lcm/handler.ts') },
  {
    schemas: [controlNetIpAdapter],
    handlers: () => import('../endpoints/fal-ai/controlnet-ip-adapter/handler.ts'),
  },
]

/** Every endpoint as the gateway knows it. */
export const ENDPOINT_SCHEMAS: readonly EndpointSchema[] = ENDPOINT_FOLDERS.flatMap(({ schemas }) => schemas)
