import type { Lora } from './lora.ts'
import type { LoraComponent, LoraDialect } from './lora-keys.ts'
import type { LoraModule } from './lora-module.ts'

/** What a LoRA file is, for people. */
export interface LoraDescription {
  readonly dialects: readonly LoraDialect[]
  /** Modules of each component that are changed. */
  readonly modules: Readonly<Partial<Record<LoraComponent, number>>>
  /** Kinds of changes, most of them first, with the modules and ranks of each. */
  readonly kinds: readonly KindDescription[]
  /** Smallest and largest factor on the changes that the file demands (alpha over rank). */
  readonly scales: readonly [smallest: number, largest: number]
  readonly title: string | undefined
  /** What it was trained on, as the file says. */
  readonly base: string | undefined
  /** Words that prompts call it by, the likeliest first: the author's, or the commonest of the training's captions. */
  readonly triggerWords: readonly string[]
}

export interface KindDescription {
  readonly kind: string
  readonly modules: number
  /** Ascending; empty where changes have none. */
  readonly ranks: readonly number[]
}

/** Describes an opened LoRA by its header. */
export function describeLora(lora: Lora): LoraDescription {
  const modules: Partial<Record<LoraComponent, number>> = {}
  for (const component of ['unet', 'text_encoder', 'text_encoder_2'] as const) {
    const count = lora.modules.filter((module) => module.component === component).length
    if (count > 0) modules[component] = count
  }
  const scales = lora.modules.flatMap(({ weight }) => weight?.scale ?? [])
  const metadata = lora.file.files[0]?.metadata ?? {}
  return {
    dialects: [...new Set(lora.modules.map(({ dialect }) => dialect))],
    modules,
    kinds: describeKinds(lora.modules),
    scales: [
      scales.reduce((a, b) => Math.min(a, b), scales[0] ?? 1),
      scales.reduce((a, b) => Math.max(a, b), scales[0] ?? 1),
    ],
    title: nonEmpty(metadata['modelspec.title']) ?? nonEmpty(metadata.ss_output_name),
    base:
      nonEmpty(metadata.ss_sd_model_name) ??
      nonEmpty(metadata['modelspec.architecture']) ??
      nonEmpty(metadata.ss_base_model_version),
    triggerWords: triggerWords(metadata),
  }
}

function describeKinds(modules: readonly LoraModule[]): KindDescription[] {
  const kinds = new Map<string, LoraModule[]>()
  for (const module of modules) {
    const kind = kindOf(module)
    const known = kinds.get(kind)
    if (known) known.push(module)
    else kinds.set(kind, [module])
  }
  return [...kinds]
    .map(([kind, all]) => ({
      kind,
      modules: all.length,
      ranks: [...new Set(all.flatMap(({ rank }) => rank ?? []))].sort((a, b) => a - b),
    }))
    .sort((a, b) => b.modules - a.modules)
}

const NAMES = { loha: 'LoHa', lokr: 'LoKr', full: 'full difference' } as const

function kindOf({ weight }: LoraModule): string {
  if (!weight) return 'difference of biases'
  const { form, magnitude } = weight
  const name = form.kind === 'low-rank' ? (form.mid === undefined ? 'LoRA' : 'LoRA with Tucker core') : NAMES[form.kind]
  return magnitude ? `DoRA of ${name}` : name
}

const nonEmpty = (text: string | undefined) => (text === undefined || text.trim() === '' ? undefined : text)

const SHOWN_WORDS = 10
/** Of a large training set this is half a megabyte. */
const MAX_TAGS_LENGTH = 20_000_000

function triggerWords(metadata: Readonly<Record<string, string>>): string[] {
  const authors = nonEmpty(metadata['modelspec.trigger_phrase'])
  if (authors !== undefined) return [authors]
  const counts = new Map<string, number>()
  for (const tags of Object.values(parseRecord(metadata.ss_tag_frequency))) {
    for (const [tag, count] of Object.entries(asRecord(tags))) {
      if (typeof count === 'number') counts.set(tag.trim(), (counts.get(tag.trim()) ?? 0) + count)
    }
  }
  const common = [...counts].filter(([tag]) => tag !== '').sort(([, a], [, b]) => b - a)
  return common.slice(0, SHOWN_WORDS).map(([tag]) => tag)
}

function parseRecord(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined || text.length > MAX_TAGS_LENGTH) return {}
  try {
    return asRecord(JSON.parse(text))
  } catch {
    return {}
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
