import { structureOfDiffusers, unetNames } from '../checkpoint/ldm-keys.ts'
import type { LoraComponent } from './lora-keys.ts'

/** Last path segments that old LoRA files of diffusers have another name for. */
const OLD_NAMES: readonly (readonly [today: string, old: string])[] = [
  ['.self_attn.q_proj', '.self_attn.to_q'],
  ['.self_attn.k_proj', '.self_attn.to_k'],
  ['.self_attn.v_proj', '.self_attn.to_v'],
  ['.self_attn.out_proj', '.self_attn.to_out'],
  ['.to_out.0', '.to_out'],
]

/** transformers 5.6 and later have no such level in memory, and so in the keys of what peft saves from there. */
const TEXT_LEVEL = 'text_model.'

/**
 * Module paths by the names a LoRA may give them: the path, what older files call it, its name in the original layout, and each of
 * these as kohya writes it, with `_` for each dot. Looking whole names up needs no guess where `_` was a dot.
 * @param weightKeys keys of the component's checkpoint
 */
export function modulesByName(component: LoraComponent, weightKeys: Iterable<string>): ReadonlyMap<string, string> {
  const keys = [...weightKeys].filter((key) => key.endsWith('.weight'))
  const original = component === 'unet' ? unetNames(structureOfDiffusers(keys)) : undefined
  const modules = new Map<string, string>()
  for (const key of keys) {
    const path = key.slice(0, -'.weight'.length)
    const names = [path, ...OLD_NAMES.flatMap(([today, old]) => replaceEnd(path, today, old))]
    const ldm = original?.toLdm(path)
    if (ldm !== undefined) names.push(ldm)
    if (path.startsWith(TEXT_LEVEL)) names.push(...names.map((name) => name.slice(TEXT_LEVEL.length)))
    for (const name of names) {
      modules.set(name, path)
      modules.set(name.replaceAll('.', '_'), path)
    }
  }
  return modules
}

function replaceEnd(path: string, end: string, other: string): string[] {
  return path.endsWith(end) ? [path.slice(0, -end.length) + other] : []
}
