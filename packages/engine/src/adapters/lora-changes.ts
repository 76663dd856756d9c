import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { concatenate, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import { readFactors, type ScaledLora } from './lora.ts'
import type { LayerShapes, LowRankChange } from './lora-branches.ts'
import { modulesByName } from './lora-keys.ts'

/** What LoRAs change of one component, and the modules that it does not have, as the files name them. */
export interface LoraChanges {
  readonly changes: ReadonlyMap<string, LowRankChange>
  readonly unmatched: readonly string[]
}

/**
 * The changes that LoRAs make to a component's layers, as factors for `LoraBranches`: the scale and alpha/rank of each folded into
 * `up`, several LoRAs of a layer side by side along the rank.
 * @throws CheckpointError when factors do not fit a layer
 */
export async function loraChanges(
  component: string,
  layers: LayerShapes,
  loras: readonly ScaledLora[],
): Promise<LoraChanges> {
  const known = modulesByName([...layers.keys()].map((path) => `${path}.weight`))
  const parts = new Map<string, LowRankChange[]>()
  const unmatched: string[] = []
  for (const { lora, scale = 1 } of loras) {
    for (const module of lora.modules.filter((candidate) => candidate.component === component)) {
      const path = known.get(module.name)
      const shape = path === undefined ? undefined : layers.get(path)
      if (path === undefined || shape === undefined) {
        unmatched.push(module.name)
        continue
      }
      const factors = await readFactors(lora, module)
      const change = fitted(factors, factors.scale * scale, shape, `${lora.path}: ${module.name}`)
      parts.set(path, [...(parts.get(path) ?? []), change])
    }
  }
  const changes = new Map([...parts].map(([path, all]) => [path, sideBySide(all)]))
  return { changes, unmatched }
}

/** A linear layer's factors may be stored as 1×1 convolutions and the other way round: the same bytes. */
function fitted(
  { down, up }: { readonly down: FloatTensor; readonly up: FloatTensor },
  scale: number,
  [out, ...rest]: Shape,
  what: string,
): LowRankChange {
  const rank = down.shape[0] as number
  const columns = rest.reduce((product, size) => product * size, 1)
  if (down.data.length !== rank * columns || up.data.length !== (out as number) * rank) {
    throw new CheckpointError(
      `${what}: factors [${up.shape}] and [${down.shape}] do not fit the weight [${[out, ...rest]}]; the LoRA is for another base model`,
    )
  }
  const ones = rest.slice(1).map(() => 1)
  return {
    down: float32([rank, ...rest], down.data),
    up: float32([out as number, rank, ...ones], scale === 1 ? up.data : up.data.map((value) => value * scale)),
  }
}

function sideBySide(changes: readonly LowRankChange[]): LowRankChange {
  return {
    down: concatenate(changes.map(({ down }) => down)),
    up: concatenate(
      changes.map(({ up }) => up),
      1,
    ),
  }
}
