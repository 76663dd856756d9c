import { basename, dirname, join } from 'node:path'
import { checkWeights } from '../checkpoint/check-weights.ts'
import { type Component, openComponent } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { KeyRenames } from '../checkpoint/component-weights.ts'
import type { Graph } from '../graph/graph.ts'
import {
  clipPixelValuesOptions,
  type PixelValuesOptions,
  pixelValues,
  vitPixelValuesOptions,
} from '../image/pixel-values.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { parseClipVisionConfig } from '../models/clip-vision-config.ts'
import {
  buildSafetyCheckerGraph,
  isFlagged,
  SAFETY_CHECKER_RENAMES,
} from '../models/stable-diffusion-safety-checker.ts'
import { buildVitGraph, VIT_RENAMES } from '../models/vit.ts'
import { parseVitConfig } from '../models/vit-config.ts'
import { defined } from '../tensor/defined.ts'
import { expectFloat32, type Tensor } from '../tensor/tensor.ts'
import type { Engine } from './engine.ts'
import { readImageProcessor } from './image-processor.ts'

/** `v1` compares a picture with CLIP embeddings of concepts, `v2` classifies it with a ViT. */
export type SafetyCheckerVersion = 'v1' | 'v2'

/** Tells which pictures are not safe for work. */
export interface SafetyChecker {
  readonly version: SafetyCheckerVersion
  /** One flag for each picture, of any size; true where it is not safe. */
  check(images: readonly RgbImage[]): Promise<boolean[]>
}

export interface SafetyCheckerOptions {
  /** Precision variant of the weight files, `fp16`. */
  readonly variant?: string
}

const COMPONENT = 'safety_checker'

/**
 * Loads a safety checker: a StableDiffusionSafetyChecker (v1; `CompVis/stable-diffusion-safety-checker`) or a
 * ViTForImageClassification with a label `nsfw` (v2; `Falconsai/nsfw_image_detection`). Configs and weight headers are checked now,
 * the session is made when it is first used.
 * @param folder a folder with the model's config.json, or a whole checkpoint with a `safety_checker` folder
 * @throws CheckpointError, ModelConfigError, WeightFileError
 */
export async function loadSafetyChecker(
  engine: Engine,
  folder: string,
  options: SafetyCheckerOptions = {},
): Promise<SafetyChecker> {
  const { variant } = options
  const component = await openComponent(folder, COMPONENT, variant === undefined ? {} : { variant })
  const config = await component.config()
  if (config.model_type === 'clip') return loadConceptChecker(engine, component, config)
  if (config.model_type === 'vit') return loadClassifier(engine, component, config)
  throw new CheckpointError(
    `the model ${component.source} is no safety checker: model_type in config.json must be clip (StableDiffusionSafetyChecker) or ` +
      `vit (ViTForImageClassification), found ${JSON.stringify(config.model_type)}`,
  )
}

async function loadConceptChecker(engine: Engine, component: Component, json: unknown) {
  const config = parseClipVisionConfig(json)
  const run = await openModel(engine, component, {
    graph: buildSafetyCheckerGraph(config, { batch: 1 }),
    renames: SAFETY_CHECKER_RENAMES,
    imageSize: config.imageSize,
    defaults: clipPixelValuesOptions(config.imageSize),
  })
  return checker('v1', run, ({ special_care_scores, concept_scores }) =>
    isFlagged(expectFloat32(special_care_scores).data, expectFloat32(concept_scores).data),
  )
}

/** The probability of `nsfw` from which fal's toolkit flags a picture, exclusive. */
const NSFW_THRESHOLD = 0.5

async function loadClassifier(engine: Engine, component: Component, json: unknown) {
  const config = parseVitConfig(json)
  const nsfw = config.labels.indexOf('nsfw')
  if (nsfw < 0) {
    throw new CheckpointError(
      `the model ${component.source} is no safety checker: its labels are ${config.labels.join(', ')}, not nsfw`,
    )
  }
  const run = await openModel(engine, component, {
    graph: buildVitGraph(config, { batch: 1 }),
    renames: VIT_RENAMES,
    imageSize: config.imageSize,
    defaults: vitPixelValuesOptions(config.imageSize),
  })
  return checker('v2', run, ({ logits }) => probability(expectFloat32(logits).data, nsfw) > NSFW_THRESHOLD)
}

/** Softmax of one of the logits. */
export function probability(logits: Float32Array, index: number): number {
  return 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - defined(logits[index])), 0)
}

interface ModelParts {
  /** For one picture. */
  readonly graph: Graph
  readonly renames: KeyRenames
  /** Side of the picture that the graph takes. */
  readonly imageSize: number
  readonly defaults: PixelValuesOptions
}

/** Runs the model on one picture. */
type ModelRun = (image: RgbImage) => Promise<Readonly<Record<string, Tensor>>>

async function openModel(engine: Engine, component: Component, parts: ModelParts): Promise<ModelRun> {
  const processor = await readImageProcessor(processorFolders(component), parts.defaults)
  requireSide(component, processor, parts.imageSize)
  const stored = await component.weights({ renames: parts.renames })
  checkWeights(stored, [parts.graph])
  const weights = await engine.weightCache.prepare(stored)
  return async (image) => {
    const session = await engine.sessions.get(weights, '', () => parts.graph)
    return session.run({ pixel_values: pixelValues(image, processor) })
  }
}

/** Beside the weights, or where a whole checkpoint keeps it. */
function processorFolders({ folder }: Component): string[] {
  return basename(folder) === COMPONENT ? [folder, join(dirname(folder), 'feature_extractor')] : [folder]
}

function requireSide({ source, folder }: Component, { size, crop }: PixelValuesOptions, side: number): void {
  const made = crop ?? ('width' in size ? size : undefined)
  if (made?.width === side && made.height === side) return
  const found = made ? `${made.width}x${made.height}` : 'pictures of any proportions'
  throw new CheckpointError(
    `the preprocessor_config.json of ${source} makes ${found}, but config.json says image_size ${side}; one of them is another model's`,
    { path: folder },
  )
}

function checker(
  version: SafetyCheckerVersion,
  run: ModelRun,
  isUnsafe: (outputs: Readonly<Record<string, Tensor>>) => boolean,
): SafetyChecker {
  return {
    version,
    async check(images) {
      const flags: boolean[] = []
      for (const image of images) flags.push(isUnsafe(await run(image)))
      return flags
    },
  }
}
