import type { Shape } from '../tensor/tensor.ts'
import type { LoraComponent, LoraDialect, LoraPart } from './lora-keys.ts'
import type { PeftScales } from './lora-metadata.ts'
import type { BiasChange, LoraModule, UnusedKey } from './lora-module.ts'
import type { ChangeForm, FactorPair, KroneckerFactor, Magnitude, WeightChange } from './lora-weight-change.ts'

/** The keys of a file that are about one module. */
export interface ModuleParts {
  readonly component: LoraComponent
  readonly module: string
  readonly dialect: LoraDialect
  readonly parts: Map<LoraPart, string>
}

export interface AssemblyContext {
  /** Value of the module's own alpha. */
  readonly alpha: number | undefined
  /** What the file's metadata say where there is none. */
  readonly peftScales: PeftScales
  readonly shapeOf: (key: string) => Shape
}

interface RankedForm {
  readonly form: ChangeForm<string>
  /** What an alpha is divided by; changes without factors have none. */
  readonly rank: number | undefined
}

/** Takes keys from a module's parts; what is left at the end belongs to no change. */
class PartTaker {
  readonly taken: string[] = []
  readonly #parts: Map<LoraPart, string>

  constructor(parts: ReadonlyMap<LoraPart, string>) {
    this.#parts = new Map(parts)
  }

  has(...parts: readonly LoraPart[]): boolean {
    return parts.every((part) => this.#parts.has(part))
  }

  take(part: LoraPart): string {
    const key = this.#parts.get(part)
    if (key === undefined) throw new Error(`${part} was taken before it was looked for`)
    this.#parts.delete(part)
    this.taken.push(key)
    return key
  }

  takeOptional(part: LoraPart): string | undefined {
    return this.has(part) ? this.take(part) : undefined
  }

  get rest(): readonly string[] {
    return [...this.#parts.values()]
  }
}

/** What the keys of one module make together, and those that make nothing. */
export function assembleModule(
  { component, module: name, dialect, parts }: ModuleParts,
  { alpha, peftScales, shapeOf }: AssemblyContext,
): { readonly module?: LoraModule; readonly unused: readonly UnusedKey[] } {
  const taker = new PartTaker(parts)
  const ranked = takeForm(taker, shapeOf)
  const scale = ranked ? scaleOf(ranked, alpha, (rank) => peftScales.scaleOf(component, name, rank)) : 1
  const magnitude = ranked && takeMagnitude(taker)
  const weight: WeightChange<string> | undefined = ranked && {
    form: ranked.form,
    scale,
    ...(magnitude && { magnitude }),
  }
  const bias = takeBias(taker, scale)
  if (weight || bias) taker.takeOptional('alpha')
  const reason = weight
    ? 'the weight of this module has another change already'
    : 'its other half, or another part of the change, is missing'
  const unused = taker.rest.map((key) => ({ key, reason }))
  if (!weight && !bias) return { unused }
  const module: LoraModule = {
    component,
    name,
    dialect,
    ...(weight && { weight }),
    ...(bias && { bias }),
    keys: taker.taken,
    rank: ranked?.rank,
  }
  return { module, unused }
}

function takeForm(taker: PartTaker, shapeOf: AssemblyContext['shapeOf']): RankedForm | undefined {
  if (taker.has('down', 'up')) {
    const [down, up, mid] = [taker.take('down'), taker.take('up'), taker.takeOptional('mid')]
    return { form: { kind: 'low-rank', down, up, ...(mid !== undefined && { mid }) }, rank: firstSize(shapeOf(down)) }
  }
  if (taker.has('hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b')) {
    const first = takePair(taker, 'hada_w1_a', 'hada_w1_b', 'hada_t1')
    const second = takePair(taker, 'hada_w2_a', 'hada_w2_b', 'hada_t2')
    return { form: { kind: 'loha', first, second }, rank: firstSize(shapeOf(first.b)) }
  }
  if (hasKroneckerFactor(taker, 1) && hasKroneckerFactor(taker, 2)) {
    const [first, second] = [takeKroneckerFactor(taker, 1), takeKroneckerFactor(taker, 2)]
    const decomposed = [second, first].find((factor) => 'b' in factor)
    return {
      form: { kind: 'lokr', first, second },
      rank: decomposed && 'b' in decomposed ? firstSize(shapeOf(decomposed.b)) : undefined,
    }
  }
  const full = (['diff', 'w_norm'] as const).find((part) => taker.has(part))
  return full && { form: { kind: 'full', difference: taker.take(full) }, rank: undefined }
}

function firstSize(shape: Shape): number {
  return shape[0] ?? 0
}

function takePair(taker: PartTaker, a: LoraPart, b: LoraPart, core: LoraPart): FactorPair<string> {
  const pair = { a: taker.take(a), b: taker.take(b) }
  const coreKey = taker.takeOptional(core)
  return coreKey === undefined ? pair : { ...pair, core: coreKey }
}

function hasKroneckerFactor(taker: PartTaker, index: 1 | 2): boolean {
  return taker.has(`lokr_w${index}`) || taker.has(`lokr_w${index}_a`, `lokr_w${index}_b`)
}

function takeKroneckerFactor(taker: PartTaker, index: 1 | 2): KroneckerFactor<string> {
  if (taker.has(`lokr_w${index}`)) return { whole: taker.take(`lokr_w${index}`) }
  return takePair(taker, `lokr_w${index}_a`, `lokr_w${index}_b`, `lokr_t${index}`)
}

function takeMagnitude(taker: PartTaker): Magnitude<string> | undefined {
  const peft = taker.takeOptional('magnitude')
  if (peft !== undefined) return { norms: peft, isByRow: true }
  const lycoris = taker.takeOptional('doraScale')
  return lycoris === undefined ? undefined : { norms: lycoris, isByRow: false }
}

/** peft scales the bias of its second factor as it scales the product; LyCORIS adds its differences as they are. */
function takeBias(taker: PartTaker, scale: number): BiasChange | undefined {
  const upBias = taker.takeOptional('upBias')
  if (upBias !== undefined) return { key: upBias, scale }
  const difference = taker.takeOptional('diff_b') ?? taker.takeOptional('b_norm')
  return difference === undefined ? undefined : { key: difference, scale: 1 }
}

/**
 * alpha/rank of the module; without an alpha of its own what the file's metadata say. A change without rank (a full one, a Kronecker
 * product of whole factors) is as it is stored: LyCORIS writes an alpha there and does not use it.
 */
function scaleOf(
  { form, rank }: RankedForm,
  alpha: number | undefined,
  fromMetadata: (rank: number) => number,
): number {
  if (rank === undefined || rank === 0) return 1
  if (alpha !== undefined) return alpha / rank
  return form.kind === 'low-rank' ? fromMetadata(rank) : 1
}
