import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { displayName } from '../formats/display-name.ts'
import type { Shape } from '../tensor/tensor.ts'
import { type Lora, storedTensor } from './lora.ts'
import type { LayerShapes } from './lora-branches.ts'
import { branchRank, misfit } from './lora-fit.ts'
import type { LoraComponent } from './lora-keys.ts'
import type { BiasChange, LoraModule, UnusedKey } from './lora-module.ts'
import { modulesByName } from './lora-module-names.ts'
import { mapTensors, type WeightChange } from './lora-weight-change.ts'

/** A base component's weights: shapes by checkpoint key. A `ComponentWeights.tensors` is one, and a `Graph.weights`. */
export type BaseWeights = ReadonlyMap<string, { readonly shape: Shape }>

/** What of a model LoRAs can change. */
export interface Adaptable {
  /** Layers that take branches beside their weights. */
  readonly layers: LayerShapes
  /** All weights. */
  readonly parameters: BaseWeights
}

/** A change of a LoRA and the weight that it changes. */
export interface MatchedWeight {
  readonly module: LoraModule
  /** Path of the module in the base. */
  readonly path: string
  /** Checkpoint key of the weight. */
  readonly key: string
  readonly shape: Shape
  readonly change: WeightChange<string>
  /** Rank of the factors with which it can run beside the weight; undefined where it has to be merged. */
  readonly branchRank: number | undefined
}

export interface MatchedBias {
  readonly module: LoraModule
  readonly path: string
  readonly key: string
  readonly shape: Shape
  readonly change: BiasChange
}

/** What a LoRA changes of one component of a base. */
export interface LoraMatch {
  readonly component: LoraComponent
  readonly weights: readonly MatchedWeight[]
  readonly biases: readonly MatchedBias[]
  /** Keys of this component's changes that change nothing there. */
  readonly unused: readonly UnusedKey[]
  /** Modules that the base has in another size: a sign of another base. */
  readonly misfits: readonly string[]
}

/**
 * An inpainting UNet takes more channels than the model that its LoRAs were made for, and is the same otherwise: these layers are
 * left out where they do not fit.
 */
const INPUT_LAYERS: ReadonlySet<string> = new Set(['conv_in'])

/** Holds a LoRA's changes of one component against a base's weights. Everything is either matched or in `unused`. */
export function matchLora(lora: Lora, component: LoraComponent, base: BaseWeights): LoraMatch {
  const names = modulesByName(component, base.keys())
  const [weights, biases]: [MatchedWeight[], MatchedBias[]] = [[], []]
  const unused: UnusedKey[] = []
  const misfits: string[] = []
  for (const module of lora.modules.filter((candidate) => candidate.component === component)) {
    const path = names.get(module.name)
    if (path === undefined) {
      const reason = `the base's ${component} has no such module`
      unused.push(...module.keys.map((key) => ({ key, reason })))
      continue
    }
    const problems = [
      matchWeight(lora, module, path, base, weights),
      matchBias(lora, module, path, base, biases),
    ].filter((problem) => problem !== undefined)
    for (const { keys, reason, isMisfit } of problems) {
      unused.push(...keys.map((key) => ({ key, reason })))
      if (isMisfit && !INPUT_LAYERS.has(path)) misfits.push(`${module.name}: ${reason}`)
    }
  }
  return { component, weights, biases, unused, misfits }
}

interface Problem {
  readonly keys: readonly string[]
  readonly reason: string
  /** The base has that weight, in another size. */
  readonly isMisfit: boolean
}

function matchWeight(
  lora: Lora,
  module: LoraModule,
  path: string,
  base: BaseWeights,
  matched: MatchedWeight[],
): Problem | undefined {
  const { weight: change, bias } = module
  const key = `${path}.weight`
  const shape = base.get(key)?.shape
  if (!change || !shape) return undefined
  const shapes = mapTensors(change, (tensor) => storedTensor(lora.file, tensor).shape)
  const reason = misfit(shapes, shape)
  if (reason !== undefined) return { keys: module.keys.filter((used) => used !== bias?.key), reason, isMisfit: true }
  matched.push({ module, path, key, shape, change, branchRank: branchRank(shapes) })
  return undefined
}

function matchBias(
  lora: Lora,
  module: LoraModule,
  path: string,
  base: BaseWeights,
  matched: MatchedBias[],
): Problem | undefined {
  const change = module.bias
  if (!change) return undefined
  const key = `${path}.bias`
  const [shape, own] = [base.get(key)?.shape, storedTensor(lora.file, change.key).shape]
  if (!shape) return { keys: [change.key], reason: `the base's ${path} has no bias`, isMisfit: false }
  if (String(shape) !== String(own)) {
    return {
      keys: [change.key],
      reason: `a difference [${own}] does not fit the bias [${shape}]`,
      isMisfit: true,
    }
  }
  matched.push({ module, path, key, shape, change })
  return undefined
}

/** Components of a base by name, as far as it has them. */
export type LoraBase = Readonly<Partial<Record<LoraComponent, BaseWeights>>>

/** Everything that a LoRA would do to a base. */
export interface BaseMatch {
  readonly matches: readonly LoraMatch[]
  /** All keys of the file that change nothing there. */
  readonly unused: readonly UnusedKey[]
}

const COMPONENTS: readonly LoraComponent[] = ['unet', 'text_encoder', 'text_encoder_2']

/** Holds a whole LoRA file against a base. */
export function matchLoraToBase(lora: Lora, base: LoraBase): BaseMatch {
  const matches: LoraMatch[] = []
  const absent: UnusedKey[] = []
  for (const component of COMPONENTS) {
    const weights = base[component]
    if (weights) matches.push(matchLora(lora, component, weights))
    else {
      const reason = `the base has no ${component}`
      const modules = lora.modules.filter((module) => module.component === component)
      absent.push(...modules.flatMap(({ keys }) => keys.map((key) => ({ key, reason }))))
    }
  }
  return { matches, unused: [...lora.unused, ...absent, ...matches.flatMap(({ unused }) => unused)] }
}

/**
 * Refuses a LoRA whose modules have other sizes than the base's.
 * @throws CheckpointError that names one of them
 */
export function requireFit(lora: Lora, matches: readonly LoraMatch[]): void {
  const [first] = matches.flatMap(({ misfits }) => misfits)
  if (first === undefined) return
  throw new CheckpointError(
    `Target modules of ${displayName(lora.path)} not found in the base model in their size (${first}); the LoRA is for another base model`,
  )
}

/**
 * Refuses a LoRA of another base: one that does not fit, or that changes nothing.
 * @param matches with each of the base's components
 * @throws CheckpointError that names modules
 */
export function requireOwnBase(lora: Lora, matches: readonly LoraMatch[]): void {
  requireFit(lora, matches)
  if (matches.some(({ weights, biases }) => weights.length + biases.length > 0)) return
  const names = lora.modules.map(({ name }) => name)
  throw new CheckpointError(
    `Target modules {${summary(names)}} not found in the base model; ${displayName(lora.path)} is a LoRA for another base model`,
  )
}

/** Lines for a user about what of a LoRA changes nothing: one for each reason, with the first few keys. */
export function describeUnused(lora: Lora, unused: readonly UnusedKey[]): string[] {
  const byReason = new Map<string, string[]>()
  for (const { key, reason } of unused) {
    const keys = byReason.get(reason)
    if (keys) keys.push(key)
    else byReason.set(reason, [key])
  }
  const name = displayName(lora.path)
  return [...byReason].map(([reason, keys]) => `${name}: not applied, because ${reason}: ${summary(keys)}`)
}

/** The first few of many names. */
function summary(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}
