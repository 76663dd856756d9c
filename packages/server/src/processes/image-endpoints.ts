import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WeightCache, WorkerRuntime } from '@darkroom/engine'
import type { Config } from '../config/config.ts'
import type { EndpointSchema, RunnableEndpoint } from '../endpoints/endpoint.ts'
import { ImageEngine } from '../endpoints/engine/image-engine.ts'
import { ModelRegistry } from '../endpoints/engine/model-registry.ts'
import {
  createFastLcmDiffusion,
  createFastLcmDiffusionImageToImage,
} from '../endpoints/fal-ai/fast-lcm-diffusion/handler.ts'
import { fastLcmDiffusion, fastLcmDiffusionImageToImage } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { createLcmSd15ImageToImage } from '../endpoints/fal-ai/lcm-sd15-i2i/handler.ts'
import { lcmSd15ImageToImage } from '../endpoints/fal-ai/lcm-sd15-i2i/schema.ts'

/** The demo checkpoints that come with the repository. */
const BUNDLED_MODELS = fileURLToPath(new URL('../../../../models', import.meta.url))

/** Every endpoint of this server, as the gateway knows it. */
export const ENDPOINT_SCHEMAS: readonly EndpointSchema[] = [
  fastLcmDiffusion,
  fastLcmDiffusionImageToImage,
  lcmSd15ImageToImage,
]

export interface ImageEndpoints {
  readonly endpoints: readonly RunnableEndpoint[]
  /** Labels of the models that are loaded. */
  warm(): readonly string[]
  dispose(): Promise<void>
}

/** The registry of models on this machine. */
export function createModelRegistry(config: Config): ModelRegistry {
  return new ModelRegistry({
    modelFolders: [config.modelsFolder],
    hubCaches: [config.hubCacheFolder],
    bundledFolder: BUNDLED_MODELS,
  })
}

/** The endpoints with their handlers, and the engine behind them. */
export function createImageEndpoints(config: Config): ImageEndpoints {
  const engine = new ImageEngine({
    runtime: new WorkerRuntime({ threads: config.threads ?? availableParallelism() }),
    weightCache: new WeightCache({ folder: preparedWeightsFolder(config) }),
    registry: createModelRegistry(config),
  })
  return {
    endpoints: [
      { schema: fastLcmDiffusion, handler: createFastLcmDiffusion(engine) },
      { schema: fastLcmDiffusionImageToImage, handler: createFastLcmDiffusionImageToImage(engine) },
      { schema: lcmSd15ImageToImage, handler: createLcmSd15ImageToImage(engine) },
    ],
    warm: () => engine.warm,
    dispose: () => engine.dispose(),
  }
}

/** Where weights that cannot be mapped as they lie are kept in float32. */
export function preparedWeightsFolder(config: Config): string {
  return join(config.dataFolder, 'prepared-weights')
}
