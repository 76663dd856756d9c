import type { Graph, Value } from '../graph/graph.ts'
import { add, mul, multiHeadAttention } from '../graph/ops.ts'
import { type AttentionLayer, attentionLayers, levelSizes } from '../models/attention-layers.ts'
import type { UNetShape } from '../models/unet-2d-condition.ts'
import type { UNetConfig } from '../models/unet-2d-condition-config.ts'
import type { UNetHooks } from '../models/unet-hooks.ts'
import { defined } from '../tensor/defined.ts'
import { concatenate, DYNAMIC, type FloatTensor, type Tensor } from '../tensor/tensor.ts'
import { cropMaps, scaleWindow } from '../tensor/window.ts'
import { maskForQueries } from './image-prompt-mask.ts'
import type { UNetAdapter, UNetInput, UNetStep } from './unet-adapter.ts'

/** Keys and values of every cross-attention, by its path: [1, tokens, channels of its queries]. */
export type KeysAndValues = ReadonlyMap<string, { readonly key: FloatTensor; readonly value: FloatTensor }>

/** Pictures that are attended to together, apart from the prompt and from other groups. */
export interface ImagePromptGroup {
  /** Values are scaled by the adapter's scale at each attention. */
  readonly positive: KeysAndValues
  /** Asked for where guidance is on. */
  negative(): Promise<KeysAndValues>
  /** Where in the picture the group counts, [H, W] of 0 and 1; everywhere without. */
  readonly mask?: ImagePromptMask
}

export interface ImagePromptMask {
  /** [H, W] of the picture that is drawn, 0 or 1. */
  readonly mask: FloatTensor
  /** `bicubic` is diffusers' IPAdapterMaskProcessor, `nearest` InstantID's region control. */
  readonly resampling: 'bicubic' | 'nearest'
}

/**
 * The image prompts of a request (IP-Adapter's decoupled attention, diffusers' IPAdapterAttnProcessor2_0): each group's attention is
 * added to the prompt's own. Keys and values are inputs of the UNet's session, of any number of tokens, so one session serves every
 * adapter and picture.
 */
export class ImagePromptAdapter implements UNetAdapter {
  readonly variant: string
  readonly #config: UNetConfig
  readonly #layers: ReadonlyMap<string, AttentionLayer>
  readonly #groups: readonly ImagePromptGroup[]
  /** Picture pixels per latent pixel. */
  readonly #factor: number

  constructor(config: UNetConfig, groups: readonly ImagePromptGroup[], factor: number) {
    this.#config = config
    this.#groups = groups
    this.#factor = factor
    const cross = attentionLayers(config).filter(({ kind }) => kind === 'cross')
    this.#layers = new Map(cross.map((layer) => [layer.path, layer]))
    this.variant = `image-prompts ${groups.map(({ mask }) => (mask ? 'masked' : 'everywhere')).join()}`
  }

  extend(graph: Graph, { batch, height, width }: UNetShape): UNetHooks {
    const queries = this.#queriesByLevel(height, width)
    const groups = this.#groups.map((group, i) => ({
      masks: new Map(
        group.mask
          ? queries.map(([level, count]) => [level, graph.input(maskInput(i, level), 'float32', [1, count, 1])])
          : [],
      ),
    }))
    return {
      crossAttention: (path, query, heads) => {
        const layer = this.#layers.get(path)
        if (!layer) return undefined
        const shape = [batch, DYNAMIC, layer.channels]
        const parts = groups.map(({ masks }, i) => {
          const key = graph.input(promptInput(i, path, 'key'), 'float32', shape)
          const value = graph.input(promptInput(i, path, 'value'), 'float32', shape)
          const attended = multiHeadAttention(query, key, value, heads)
          const mask = masks.get(layer.level)
          return mask ? mul(attended, mask) : attended
        })
        return parts.reduce<Value | undefined>((sum, part) => (sum ? add(sum, part) : part), undefined)
      },
    }
  }

  async feeds(input: UNetInput, { window }: UNetStep): Promise<Record<string, Tensor>> {
    const feeds: Record<string, Tensor> = {}
    for (const [i, group] of this.#groups.entries()) {
      const halves = input.sample.shape[0] === 1 ? [group.positive] : [await group.negative(), group.positive]
      for (const path of this.#layers.keys()) {
        const of = (part: 'key' | 'value') => concatenate(halves.map((half) => defined(half.get(path)?.[part])))
        feeds[promptInput(i, path, 'key')] = of('key')
        feeds[promptInput(i, path, 'value')] = of('value')
      }
      if (!group.mask) continue
      const { mask, resampling } = group.mask
      const part = cropMaps(mask, scaleWindow(window, this.#factor))
      for (const [level, count] of this.#queriesByLevel(window.height, window.width)) {
        feeds[maskInput(i, level)] = maskForQueries(part, count, resampling)
      }
    }
    return feeds
  }

  /** The number of places at each level that has cross-attentions. */
  #queriesByLevel(height: number, width: number): [level: number, queries: number][] {
    const sizes = levelSizes(this.#config, height, width)
    const levels = new Set([...this.#layers.values()].map(({ level }) => level))
    return [...levels].map((level) => [level, (sizes[level]?.height ?? 0) * (sizes[level]?.width ?? 0)])
  }
}

function promptInput(group: number, path: string, part: 'key' | 'value'): string {
  return `image_prompt.${group}.${path}.${part}`
}

function maskInput(group: number, level: number): string {
  return `image_prompt.${group}.mask.${level}`
}
