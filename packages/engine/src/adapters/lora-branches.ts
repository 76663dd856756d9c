import type { Graph, Value } from '../graph/graph.ts'
import { add } from '../graph/ops.ts'
import type { Layer, LayerHook } from '../graph/scope.ts'
import { DYNAMIC, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import type { LowRankChange } from './lora-delta.ts'
import type { UNetAdapter } from './unet-adapter.ts'

/** Shapes of the weights of a model's layers, by path. */
export type LayerShapes = ReadonlyMap<string, Shape>

/** Collects the layers of a graph while it is built: pass `hook` on, read `shapes` afterwards. */
export function recordLayers(): { readonly shapes: LayerShapes; readonly hook: LayerHook } {
  const shapes = new Map<string, Shape>()
  return {
    shapes,
    hook({ path, x, y, convolution }) {
      shapes.set(path, [y.shape[1] as number, x.shape[1] as number, ...(convolution?.kernel_shape ?? [])])
      return y
    },
  }
}

/**
 * LoRAs of one request on one model, run beside its weights: y = W x + up (down x). The factors are inputs of the session, with the rank
 * left open, and every layer of a kind (linear, convolution) has a branch, so one session serves all LoRAs of the kind and none
 * makes the model load again. Several LoRAs on a layer are one change of the summed rank.
 */
export class LoraBranches {
  /** Tells graphs apart by the kinds of layers that have branches. */
  readonly variant: string
  readonly #hasConvolutions: boolean
  readonly #feeds: Readonly<Record<string, FloatTensor>>

  /**
   * @param layers of the model
   * @param changes by layer path; ranks may differ
   */
  constructor(layers: LayerShapes, changes: ReadonlyMap<string, LowRankChange>) {
    this.#hasConvolutions = [...changes.keys()].some((path) => layers.get(path)?.length === 4)
    this.variant = this.#hasConvolutions ? 'lora' : 'lora-linear'
    const feeds: Record<string, FloatTensor> = {}
    for (const [path, shape] of layers) {
      if (shape.length === 4 && !this.#hasConvolutions) continue
      const { down, up } = changes.get(path) ?? nothing(shape)
      feeds[downName(path)] = down
      feeds[upName(path)] = up
    }
    this.#feeds = feeds
  }

  /** Declares the factors as inputs of `graph` and gives the hook that adds the branches. */
  hook(graph: Graph): LayerHook {
    return (layer) => {
      if (!layer.convolution) return linearBranch(graph, layer)
      return this.#hasConvolutions ? convolutionBranch(graph, layer) : layer.y
    }
  }

  /**
   * Values of the inputs.
   * @param inputs those of a session whose graph leaves layers out (an encoder of which an earlier hidden state is wanted)
   */
  feeds(inputs?: readonly { readonly name: string }[]): Readonly<Record<string, FloatTensor>> {
    if (!inputs) return this.#feeds
    const declared = new Set(inputs.map(({ name }) => name))
    return Object.fromEntries(Object.entries(this.#feeds).filter(([name]) => declared.has(name)))
  }

  asUNetAdapter(): UNetAdapter {
    return {
      variant: this.variant,
      extend: (graph) => ({ layer: this.hook(graph) }),
      feeds: () => this.#feeds,
    }
  }
}

const downName = (path: string) => `lora/${path}/down`
const upName = (path: string) => `lora/${path}/up`

/** A change of rank 1 that changes nothing: a rank of 0 is not something that every execution provider takes. */
function nothing([out, ...rest]: Shape): LowRankChange {
  const ones = rest.slice(1).map(() => 1)
  return { down: float32([1, ...rest]), up: float32([out as number, 1, ...ones]) }
}

/** Two matrix products; the second adds to the layer's result in the same kernel. */
function linearBranch(graph: Graph, { path, x, y }: Layer): Value {
  const [rows, features] = x.shape as [number, number]
  const down = graph.input(downName(path), 'float32', [DYNAMIC, features])
  const up = graph.input(upName(path), 'float32', [y.shape[1] as number, DYNAMIC])
  const low = graph.node(`lora/${path}`, {
    opType: 'Gemm',
    inputs: [x, down],
    output: { dtype: 'float32', shape: [rows, DYNAMIC] },
    attributes: { transB: 1 },
  })
  return graph.node(`lora/${path}`, {
    opType: 'Gemm',
    inputs: [low, up, y],
    output: { dtype: 'float32', shape: y.shape },
    attributes: { transB: 1 },
  })
}

function convolutionBranch(graph: Graph, { path, x, y, convolution }: Layer): Value {
  const kernel = convolution?.kernel_shape ?? [1, 1]
  const [batch, channels, ...size] = y.shape as [number, number, number, number]
  const down = graph.input(downName(path), 'float32', [DYNAMIC, x.shape[1] as number, ...kernel])
  const up = graph.input(upName(path), 'float32', [channels, DYNAMIC, 1, 1])
  const low = graph.node(`lora/${path}`, {
    opType: 'Conv',
    inputs: [x, down],
    output: { dtype: 'float32', shape: [batch, DYNAMIC, ...size] },
    attributes: { ...convolution },
  })
  const change = graph.node(`lora/${path}`, {
    opType: 'Conv',
    inputs: [low, up],
    output: { dtype: 'float32', shape: y.shape },
    attributes: { kernel_shape: [1, 1] },
  })
  return add(y, change)
}
