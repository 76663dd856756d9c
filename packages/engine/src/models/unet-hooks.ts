import type { Value } from '../graph/graph.ts'
import { add } from '../graph/ops.ts'
import type { LayerHook } from '../graph/scope.ts'

/**
 * Places in a UNet's graph at which adapters add to it. A UNet without adapters has none of these; the blocks know the places, not
 * who uses them.
 */
export interface UNetHooks {
  /** Every linear layer and convolution (low-rank branches). */
  readonly layer?: LayerHook
  /**
   * Further attention over other keys and values (image prompts), added to a cross-attention's own result before its output projection.
   * @param path of the attention: `down_blocks.0.attentions.0.transformer_blocks.0.attn2`
   * @param query [B, S, C], projected
   * @returns [B, S, C]; undefined where nothing is added
   */
  readonly crossAttention?: (path: string, query: Value, heads: number) => Value | undefined
  /**
   * What goes on along a skip connection in place of `skip` (control residuals).
   * @param index 0 is conv_in's result, then every resnet and downsampler on the way down
   */
  readonly skip?: (index: number, skip: Value) => Value
  /** What goes on in place of the mid block's result. */
  readonly mid?: (h: Value) => Value
}

/** All hooks as one: each sees what those before it gave; what is added to a cross-attention is summed. */
export function composeHooks(all: readonly UNetHooks[]): UNetHooks {
  if (all.length <= 1) return all[0] ?? {}
  const layers = all.flatMap(({ layer }) => layer ?? [])
  const attentions = all.flatMap(({ crossAttention }) => crossAttention ?? [])
  return {
    ...(layers.length > 0 && {
      layer: (place) => layers.reduce((y, hook) => hook({ ...place, y }), place.y),
    }),
    ...(attentions.length > 0 && {
      crossAttention: (path, query, heads) =>
        attentions
          .flatMap((hook) => hook(path, query, heads) ?? [])
          .reduce<Value | undefined>((sum, value) => (sum ? add(sum, value) : value), undefined),
    }),
    skip: (index, skip) => all.reduce((value, hooks) => hooks.skip?.(index, value) ?? value, skip),
    mid: (h) => all.reduce((value, hooks) => hooks.mid?.(value) ?? value, h),
  }
}
