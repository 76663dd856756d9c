import type { WeightsKind } from './weights-kind.ts'

/** A file of a repository or folder; paths are below its root, with `/`. */
export interface ListedFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
}

export interface SelectionOptions {
  /** Precision variant to prefer: `fp16`. Without it, or where it is missing, the plain files. */
  readonly variant?: string
  /** A weight file asked for by name; its safetensors form is taken where there is one. */
  readonly weightName?: string
}

/** What is needed of a repository. */
export interface Selection {
  readonly files: readonly ListedFile[]
  /** The variant that the weights have where the plain ones were not there to take, or the asked-for one was. */
  readonly variant?: string
  /** Components or files that should be there and are not. */
  readonly missing: readonly string[]
}

/** Components of pipelines that are configuration alone. */
const WEIGHTLESS = /^(scheduler|tokenizer|feature_extractor|image_processor)/
/** Left out of pipelines: endpoints check with models of their own, and these are larger than the UNet's half. */
const UNUSED: readonly string[] = ['safety_checker']
const CONFIGURATION = /\.(json|txt|model)$/
const WEIGHTS =
  /^(?<base>diffusion_pytorch_model|pytorch_model|model)(?:\.(?<variant>[a-z]\w*))?(?:-\d{5}-of-(?<count>\d{5}))?(?:\.(?<late>[a-z]\w*))?\.(?<form>safetensors|bin)$/
const INDEX =
  /^(?:diffusion_pytorch_model|pytorch_model|model)\.(?<form>safetensors|bin)\.index(?:\.(?<variant>\w+))?\.json$/
/** Written by training scripts beside what they made. */
const LEFTOVER = /^(optimizer|scheduler|random_states|training_args|scaler|rng_state|checkpoint-)/
/** How single weight files end. */
const WEIGHT_FILE = /\.(safetensors|bin|ckpt|pt|pth)$/i

/** File names by which libraries save what there is one of. */
const USUAL_NAMES: Partial<Record<WeightsKind, readonly string[]>> = {
  lora: ['pytorch_lora_weights', 'adapter_model'],
  embedding: ['learned_embeds'],
}

/** peft's form of a LoRA: the configuration beside the weights has their alphas. */
const ADAPTER_WEIGHTS = /^adapter_model\.(safetensors|bin)$/
const ADAPTER_CONFIG = 'adapter_config.json'

/**
 * The files of a diffusers repository that drawing needs: each component's configuration and one form of its weights (safetensors
 * over pickles, the wanted variant, whole or in shards); no other frameworks, no training leftovers, no safety checker.
 */
export function selectPipeline(
  files: readonly ListedFile[],
  modelIndex: Readonly<Record<string, unknown>>,
  options: SelectionOptions = {},
): Selection {
  const index = files.filter(({ path }) => path === 'model_index.json')
  const parts = componentsOf(modelIndex).map((name) => selectComponent(files, name, options, WEIGHTLESS.test(name)))
  const variant = parts.find((part) => part.variant !== undefined)?.variant
  return {
    files: [...index, ...parts.flatMap((part) => part.files)],
    missing: parts.flatMap((part) => part.missing),
    ...(variant !== undefined && { variant }),
  }
}

/** Names of the components that a pipeline is made of, those aside that are never used. */
function componentsOf(modelIndex: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(modelIndex).flatMap(([name, entry]) =>
    Array.isArray(entry) && typeof entry[1] === 'string' && !UNUSED.includes(name) ? [name] : [],
  )
}

/**
 * The files of one component: the configuration in its folder and one form of its weights.
 * @param folder below the root; empty for the root itself
 */
export function selectComponent(
  files: readonly ListedFile[],
  folder: string,
  options: SelectionOptions = {},
  isWeightless = false,
): Selection {
  const inFolder = filesIn(files, folder)
  const configuration = inFolder.filter(
    ({ path }) => CONFIGURATION.test(path) && !INDEX.test(nameOf(path)) && nameOf(path) !== 'model_index.json',
  )
  if (isWeightless) return { files: configuration, missing: configuration.length > 0 ? [] : [folder] }
  const isConfigured = configuration.some(({ path }) => nameOf(path) === 'config.json')
  const missing = isConfigured ? [] : [join(folder, 'config.json')]
  const named = options.weightName === undefined ? undefined : findNamed(inFolder, options.weightName)
  if (named !== undefined && !WEIGHTS.test(nameOf(named.path))) return { files: [...configuration, named], missing }
  const weights = selectWeights(inFolder, options.variant)
  if (weights === undefined)
    return { files: configuration, missing: [...missing, folder === '' ? 'weights' : `weights of ${folder}`] }
  return {
    files: [...configuration, ...weights.files],
    missing: [...missing, ...weights.missing],
    ...(weights.variant !== undefined && { variant: weights.variant }),
  }
}

interface WeightForm {
  readonly form: string
  readonly variant: string
  readonly base: string
  readonly files: ListedFile[]
  /** 0: one file. */
  readonly count: number
}

function selectWeights(files: readonly ListedFile[], variant: string | undefined): Selection | undefined {
  const forms = new Map<string, WeightForm>()
  for (const file of files) {
    const match = WEIGHTS.exec(nameOf(file.path))?.groups
    if (match === undefined) continue
    const [form = '', base = '', kind = ''] = [match.form, match.base, match.variant ?? match.late]
    const count = Number(match.count ?? 0)
    const key = `${form} ${base} ${kind} ${count}`
    const known = forms.get(key) ?? { form, base, variant: kind, files: [], count }
    known.files.push(file)
    forms.set(key, known)
  }
  // Lower is better: safetensors, the variant asked for, the plain files, half precision, anything; whole before shards.
  const variants = [...(variant === undefined ? [] : [variant]), '', 'fp16']
  const rank = ({ form, variant: kind, base, count }: WeightForm) => [
    form === 'safetensors' ? 0 : 1,
    variants.includes(kind) ? variants.indexOf(kind) : variants.length,
    ['diffusion_pytorch_model', 'model', 'pytorch_model'].indexOf(base),
    count,
  ]
  const best = [...forms.values()].sort((a, b) => compare(rank(a), rank(b)))[0]
  if (best === undefined) return undefined
  const indices = best.count === 0 ? [] : files.filter(({ path }) => isIndexOf(nameOf(path), best))
  const isWhole = best.count === 0 || (best.files.length === best.count && indices.length > 0)
  return {
    files: [...indices, ...best.files],
    missing: isWhole ? [] : [`${best.count} shards of ${best.base}`],
    ...(best.variant !== '' && { variant: best.variant }),
  }
}

function isIndexOf(name: string, { form, variant }: WeightForm): boolean {
  const index = INDEX.exec(name)?.groups
  return index !== undefined && index.form === form && (index.variant ?? '') === variant
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

/**
 * The one weight file that is meant: the one named, the only one, or the one that libraries save under a usual name.
 * @returns several when nothing says which; none when there is none
 */
export function selectFile(
  files: readonly ListedFile[],
  folder: string,
  kind: WeightsKind,
  options: SelectionOptions = {},
): readonly ListedFile[] {
  const weights = filesIn(files, folder).filter(({ path }) => WEIGHT_FILE.test(path) && !LEFTOVER.test(nameOf(path)))
  if (options.weightName !== undefined) {
    const named = findNamed(weights, options.weightName)
    return named === undefined ? [] : [named]
  }
  const stems = new Map<string, ListedFile>()
  for (const file of weights) {
    const known = stems.get(stemOf(file.path))
    if (known === undefined || file.path.endsWith('.safetensors')) stems.set(stemOf(file.path), file)
  }
  const names = (USUAL_NAMES[kind] ?? []).flatMap((name) => [`${name}.${options.variant}`, name])
  const wanted = names.flatMap((name) => stems.get(name) ?? [])
  return wanted.length > 0 ? wanted.slice(0, 1) : [...stems.values()]
}

/** A weight file, and what has to lie beside it. */
export function withCompanions(files: readonly ListedFile[], file: ListedFile): readonly [ListedFile, ...ListedFile[]] {
  if (!ADAPTER_WEIGHTS.test(nameOf(file.path))) return [file]
  const path = file.path.slice(0, -nameOf(file.path).length) + ADAPTER_CONFIG
  return [file, ...files.filter((other) => other.path === path)]
}

/** A file by its name or path below the folder; its safetensors form before a pickle. */
function findNamed(files: readonly ListedFile[], weightName: string): ListedFile | undefined {
  const stem = weightName.replace(WEIGHT_FILE, '')
  const names = [
    `${stem}.safetensors`,
    ...(stem.endsWith('pytorch_model') ? [`${stem.slice(0, -'pytorch_model'.length)}model.safetensors`] : []),
    weightName,
  ]
  for (const name of names) {
    const found = files.find(({ path }) => path === name || path.endsWith(`/${name}`))
    if (found !== undefined) return found
  }
  return undefined
}

/** The files that lie directly in a folder. */
export function filesIn<T extends ListedFile>(files: readonly T[], folder: string): T[] {
  const prefix = folder === '' ? '' : `${folder}/`
  return files.filter(({ path }) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'))
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function stemOf(path: string): string {
  return nameOf(path).replace(WEIGHT_FILE, '')
}

function join(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}
