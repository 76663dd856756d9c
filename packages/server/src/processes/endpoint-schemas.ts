import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { fastLcmDiffusion, fastLcmDiffusionImageToImage } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { lcmSd15ImageToImage } from '../endpoints/fal-ai/lcm-sd15-i2i/schema.ts'

/** Every endpoint of this server, as the gateway knows it: without the engine, which a gateway's process does not load. */
export const ENDPOINT_SCHEMAS: readonly EndpointSchema[] = [
  fastLcmDiffusion,
  fastLcmDiffusionImageToImage,
  lcmSd15ImageToImage,
]
