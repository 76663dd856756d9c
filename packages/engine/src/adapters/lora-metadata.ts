import { basename, dirname, join } from 'node:path'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { type JsonObject, readJsonObject } from '../checkpoint/json-file.ts'
import type { LoraComponent } from './lora-keys.ts'

/** Metadata entry in which diffusers saves the training's peft configuration, JSON with `<component>.<option>` keys. */
const METADATA_KEY = 'lora_adapter_metadata'

/** What peft's own `save_pretrained` writes, a file of weights and its configuration beside it. */
const ADAPTER_FILE = /^adapter_model\.(safetensors|bin)$/
const ADAPTER_CONFIG = 'adapter_config.json'

/** The scales that a file's peft configuration gives to modules without an alpha of their own. */
export interface PeftScales {
  /** lora_alpha, or the module's entry in alpha_pattern, over the rank, or over its root when rank-stabilised; 1 by default. */
  scaleOf(component: LoraComponent, module: string, rank: number): number
}

interface PatternAlpha {
  readonly order: number
  readonly isWhole: boolean
  readonly alpha: unknown
}

/**
 * The peft configuration beside a LoRA of the folder form; undefined for other files, and where there is none.
 * @param path of the weights as it was named: a hub's cache keeps the two as links beside each other
 * @throws CheckpointError when it is no JSON object
 */
export async function readAdapterConfig(path: string): Promise<JsonObject | undefined> {
  return ADAPTER_FILE.test(basename(path)) ? readJsonObject(join(dirname(path), ADAPTER_CONFIG)) : undefined
}

/**
 * Reads a file's peft configuration; without one every scale is 1.
 * @param adapterConfig one that lies beside the file, of whatever component its modules are; the file's own comes first
 * @throws CheckpointError when it is not JSON, or has a pattern that is a regular expression
 */
export function readPeftScales(metadata: Readonly<Record<string, string>>, adapterConfig: JsonObject = {}): PeftScales {
  const text = metadata[METADATA_KEY]
  const own = text === undefined ? {} : parse(text)
  const patterns = new Map<LoraComponent, ReadonlyMap<string, readonly PatternAlpha[]>>()
  return {
    scaleOf(component, module, rank) {
      const option = (name: string) => own[`${component}.${name}`] ?? adapterConfig[name]
      const known = patterns.get(component) ?? readPatterns(option('alpha_pattern'))
      patterns.set(component, known)
      const alpha = patternAlpha(known, module) ?? option('lora_alpha')
      if (typeof alpha !== 'number') return 1
      return alpha / (option('use_rslora') === true ? Math.sqrt(rank) : rank)
    },
  }
}

/**
 * peft's rule: a pattern is the end of a module's path, whole segments of it, and with `^` the whole path. To peft it is a regular
 * expression; files have names, whose dots match dots.
 */
function readPatterns(pattern: unknown): ReadonlyMap<string, readonly PatternAlpha[]> {
  const byName = new Map<string, PatternAlpha[]>()
  const entries = Object.entries(typeof pattern === 'object' && pattern !== null ? pattern : {})
  for (const [order, [text, alpha]] of entries.entries()) {
    const name = text.replace(/^\^/, '').replace(/\$$/, '').replaceAll('\\.', '.')
    if (!/^[\w.-]*$/.test(name)) {
      throw new CheckpointError(
        `the LoRA's peft configuration has the pattern ${JSON.stringify(text.slice(0, 80))}; only names of modules are read`,
      )
    }
    const entry = { order, isWhole: text.startsWith('^'), alpha }
    byName.set(name, [...(byName.get(name) ?? []), entry])
  }
  return byName
}

/** The entry that comes first of all that match. */
function patternAlpha(patterns: ReadonlyMap<string, readonly PatternAlpha[]>, module: string): unknown {
  let first: PatternAlpha | undefined
  for (let start = 0; start >= 0; start = module.indexOf('.', start) + 1 || -1) {
    for (const entry of patterns.get(module.slice(start)) ?? []) {
      if (start > 0 && entry.isWhole) continue
      if (!first || entry.order < first.order) first = entry
    }
  }
  return first?.alpha
}

function parse(text: string): Record<string, unknown> {
  try {
    const config: unknown = JSON.parse(text)
    if (typeof config === 'object' && config !== null) return config as Record<string, unknown>
  } catch (cause) {
    throw new CheckpointError(`the LoRA's ${METADATA_KEY} is not JSON`, { cause })
  }
  throw new CheckpointError(`the LoRA's ${METADATA_KEY} must be a JSON object`)
}
