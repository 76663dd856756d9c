import { type Component, type ControlNetParameters, loadControlNet, openComponent } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { fieldError } from '../errors/errors.ts'
import type { FoundModel } from '../models/model-store.ts'
import type { ControlNetRequest } from './adapted-request.ts'
import { type FindContext, findWeights, pathOf, type WeightsFinder } from './find-weights.ts'
import type { ImageEngine } from './image-engine.ts'

/** The weights of a ControlNet. @throws WireError 422 */
export function findControlNet(
  { store }: { readonly store: WeightsFinder },
  { path, variant }: Pick<ControlNetRequest, 'path' | 'variant'>,
  context: FindContext,
): Promise<FoundModel> {
  return findWeights(store, path, { kind: 'controlnet', ...(variant !== undefined && { variant }) }, context)
}

/**
 * One ControlNet of a request, loaded.
 * @throws WireError, the engine's errors
 */
export async function openControlNet(
  engine: ImageEngine,
  request: ControlNetRequest,
  context: HandlerContext,
): Promise<ControlNetParameters> {
  const { config } = request
  const found = await findControlNet(engine, request, context)
  const path = pathOf(found)
  const key = JSON.stringify([path, request.variant, config])
  const model = await engine.controlNets.get(key, async () => {
    context.log(`Loading the ControlNet ${found.label}`)
    const component = await openFound(found, request)
    // A folder has a config of its own, which is not the one that was asked for.
    const asked = config && found.type !== 'file' ? { ...component, config: async () => config } : component
    return loadControlNet(engine.engine, asked)
  })
  return {
    model,
    image: request.image,
    ...(request.mask && { mask: request.mask }),
    conditioningScale: request.scale,
    startPercentage: request.start,
    endPercentage: request.end,
  }
}

/** The component of a ControlNet that was found. */
export function openFound(
  found: FoundModel,
  { variant, config }: Pick<ControlNetRequest, 'variant' | 'config'>,
): Promise<Component> {
  const used = (found.type === 'file' ? undefined : found.variant) ?? variant
  return openComponent(pathOf(found), 'controlnet', {
    ...(used !== undefined && { variant: used }),
    ...(config && { configs: { controlnet: config } }),
  })
}

const LARGEST_CONFIG = 1_000_000

/** The ControlNet's config.json that a URL leads to. @throws WireError 422 naming the field */
export async function readControlNetConfig(
  url: string,
  field: readonly (string | number)[],
  context: HandlerContext,
): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await context.readFile(url, field, 'any')
  const problem = 'must lead to a config.json of a ControlNet: one JSON object'
  if (bytes.length > LARGEST_CONFIG) throw fieldError(field, 'value_error', problem)
  try {
    const config: unknown = JSON.parse(new TextDecoder().decode(bytes))
    if (typeof config === 'object' && config !== null && !Array.isArray(config)) {
      return config as Readonly<Record<string, unknown>>
    }
  } catch {
    // Answered below, as any other text that is no object.
  }
  throw fieldError(field, 'value_error', problem)
}
