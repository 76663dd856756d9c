import type { Graph, Value } from '../graph/graph.ts'
import { add } from '../graph/ops.ts'
import type { Layer, LayerHook } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import type { LastingFeeds } from '../tensor/lasting-feeds.ts'
import { DYNAMIC, dimensions, elementCount, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import type { LayerChange } from './lora-delta.ts'
import type { LoraComponent } from './lora-keys.ts'
import type { UNetAdapter } from './unet-adapter.ts'

/** Shapes of the weights of a model's layers, by path. */
export type LayerShapes = ReadonlyMap<string, Shape>

/** Collects the layers of a graph while it is built: pass `hook` on, read `shapes` afterwards. */
export function recordLayers(): { readonly shapes: LayerShapes; readonly hook: LayerHook } {
  const shapes = new Map<string, Shape>()
  return {
    shapes,
    hook({ path, x, y, convolution }) {
      shapes.set(path, [defined(y.shape[1]), defined(x.shape[1]), ...(convolution?.kernel_shape ?? [])])
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
  /** Values of the inputs: one component's at a time lie where the sessions are. */
  readonly lasting: LastingFeeds
  readonly #hasConvolutions: boolean

  /**
   * @param layers of the model
   * @param changes by layer path; ranks may differ
   */
  constructor(component: LoraComponent, layers: LayerShapes, changes: ReadonlyMap<string, LayerChange>) {
    this.#hasConvolutions = [...changes.keys()].some((path) => layers.get(path)?.length === 4)
    this.variant = this.#hasConvolutions ? 'lora' : 'lora-linear'
    const branched = [...layers].filter(([, shape]) => shape.length !== 4 || this.#hasConvolutions)
    this.lasting = { place: `lora of ${component}`, make: () => readFactors(branched, changes) }
  }

  /** Declares the factors as inputs of `graph` and gives the hook that adds the branches. */
  hook(graph: Graph): LayerHook {
    return (layer) => {
      if (!layer.convolution) return linearBranch(graph, layer)
      return this.#hasConvolutions ? convolutionBranch(graph, layer) : layer.y
    }
  }

  asUNetAdapter(): UNetAdapter {
    return {
      variant: this.variant,
      extend: (graph) => ({ layer: this.hook(graph) }),
      lasting: this.lasting,
    }
  }
}

const downName = (path: string) => `lora/${path}/down`
const upName = (path: string) => `lora/${path}/up`

/**
 * All factors, in one stretch of memory: it moves, and is given back, as one. A layer without a change has one of rank 1 and zeros: a
 * rank of 0 is not something that every execution provider takes.
 */
async function readFactors(
  layers: readonly (readonly [path: string, shape: Shape])[],
  changes: ReadonlyMap<string, LayerChange>,
): Promise<Record<string, FloatTensor>> {
  const shapes = layers.map(([path, shape]) => factorShapes(shape, changes.get(path)?.rank ?? 1))
  const memory = new Float32Array(shapes.flat().reduce((sum, shape) => sum + elementCount(shape), 0))
  let used = 0
  const take = (shape: Shape) => {
    const start = used
    used += elementCount(shape)
    return float32(shape, memory.subarray(start, used))
  }
  const feeds: Record<string, FloatTensor> = {}
  for (const [i, [path]] of layers.entries()) {
    const [down, up] = (shapes[i] as [Shape, Shape]).map(take) as [FloatTensor, FloatTensor]
    const change = await changes.get(path)?.read()
    if (change) {
      down.data.set(change.down.data)
      up.data.set(change.up.data)
    }
    feeds[downName(path)] = down
    feeds[upName(path)] = up
  }
  return feeds
}

function factorShapes([out, ...rest]: Shape, rank: number): readonly [down: Shape, up: Shape] {
  return [
    [rank, ...rest],
    [out as number, rank, ...rest.slice(1).map(() => 1)],
  ]
}

/** Two matrix products; the second adds to the layer's result in the same kernel. */
function linearBranch(graph: Graph, { path, x, y }: Layer): Value {
  const [rows, features] = dimensions(x.shape, 2)
  const down = graph.input(downName(path), 'float32', [DYNAMIC, features])
  const up = graph.input(upName(path), 'float32', [defined(y.shape[1]), DYNAMIC])
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
  const [batch, channels, ...size] = dimensions(y.shape, 4)
  const down = graph.input(downName(path), 'float32', [DYNAMIC, defined(x.shape[1]), ...kernel])
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
