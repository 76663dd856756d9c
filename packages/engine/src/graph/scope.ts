import { defined } from '../tensor/defined.ts'
import { DYNAMIC, dimensions, elementCount, float32, type Shape } from '../tensor/tensor.ts'
import type { Graph, Value } from './graph.ts'
import { add, div, mul, reduceMean, reduceSumSquare, reshape, scalar, sqrt, sub } from './ops.ts'

export interface Conv2dOptions {
  /** Default 3. */
  readonly kernel?: number
  /** Default 1. */
  readonly stride?: number
  /** Zeros on every side; default keeps the size at stride 1 (`kernel >> 1`). */
  readonly padding?: number
  /** Default true. */
  readonly bias?: boolean
}

/** A linear layer or a convolution that has just been appended to a graph. */
export interface Layer {
  /** Path of its weights: `down_blocks.0.attentions.0.proj_in`. */
  readonly path: string
  /** Its input: [rows, in], or [B, C, H, W] of a convolution. */
  readonly x: Value
  /** Its result: [rows, out], or [B, out, H', W']. */
  readonly y: Value
  /** Attributes of the Conv node; absent for a linear layer. */
  readonly convolution?: Readonly<Record<'kernel_shape' | 'strides' | 'pads', readonly number[]>>
}

/** What goes on in place of a layer's result, of the same shape: low-rank adapters add their branch here. */
export type LayerHook = (layer: Layer) => Value

/**
 * Elements of a group beyond which its mean is not left to InstanceNormalization: onnxruntime sums in float32 from end to end,
 * which loses 3e-7 of a group of 40,000 (an SD1.5 UNet) and 5e-5 of one of 4,000,000 (a VAE at 1024×1024); the
 * longer form loses 5e-7 there. Up to here InstanceNormalization is a little faster and the loss below 3e-6.
 */
const LARGEST_ROW = 2 ** 18

/**
 * A place in a model: its path is at once the prefix of the checkpoint's keys, the prefix of the nodes' names and what
 * error messages and tests call it. Layers take their weights from here.
 */
export class Scope {
  readonly graph: Graph
  readonly path: string
  readonly #layerHook: LayerHook | undefined

  /** @param layerHook sees every linear layer and convolution in and below this place */
  constructor(graph: Graph, path = '', layerHook?: LayerHook) {
    this.graph = graph
    this.path = path
    this.#layerHook = layerHook
  }

  /** The part called `name`; dots and numbers as in the checkpoint: `child('resnets.0')`. */
  child(name: string | number): Scope {
    return new Scope(this.graph, this.path ? `${this.path}.${name}` : String(name), this.#layerHook)
  }

  weight(name: string, shape: Shape): Value {
    return this.graph.weight(this.path ? `${this.path}.${name}` : name, shape)
  }

  /**
   * torch.nn.Linear: x [..., in] → [..., out], where one dimension may be open. One Gemm over the flattened rows: it reads the checkpoint's [out, in] matrix as
   * it lies (transB) and adds the bias in the same kernel; a MatMul would need the matrix transposed at load.
   */
  linear(x: Value, outFeatures: number, options: { readonly bias?: boolean } = {}): Value {
    const inFeatures = defined(x.shape.at(-1))
    const weight = this.weight('weight', [outFeatures, inFeatures])
    const rows = x.shape.includes(DYNAMIC) ? DYNAMIC : elementCount(x.shape) / inFeatures
    const flat = x.shape.length === 2 ? x : reshape(x, [rows, inFeatures])
    const y = this.graph.node(this.path, {
      opType: 'Gemm',
      inputs: [flat, weight, ...(options.bias === false ? [] : [this.weight('bias', [outFeatures])])],
      output: { dtype: 'float32', shape: [rows, outFeatures] },
      attributes: { transB: 1 },
    })
    const hooked = this.#layerHook?.({ path: this.path, x: flat, y }) ?? y
    return x.shape.length === 2 ? hooked : reshape(hooked, [...x.shape.slice(0, -1), outFeatures])
  }

  /** torch.nn.Conv2d: x [B, C, H, W] → [B, outChannels, H', W']. */
  conv2d(x: Value, outChannels: number, options: Conv2dOptions = {}): Value {
    const { kernel = 3, stride = 1, padding = kernel >> 1, bias = true } = options
    const [batch, channels, height, width] = dimensions(x.shape, 4)
    const outSize = (size: number) => Math.floor((size + 2 * padding - kernel) / stride) + 1
    const convolution = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
    }
    const y = this.graph.node(this.path, {
      opType: 'Conv',
      inputs: [
        x,
        this.weight('weight', [outChannels, channels, kernel, kernel]),
        ...(bias ? [this.weight('bias', [outChannels])] : []),
      ],
      output: { dtype: 'float32', shape: [batch, outChannels, outSize(height), outSize(width)] },
      attributes: convolution,
    })
    return this.#layerHook?.({ path: this.path, x, y, convolution }) ?? y
  }

  /**
   * torch.nn.GroupNorm over [B, C, H, W]. Written as a normalisation, then the affine: ONNX's own GroupNormalization changed its
   * meaning between opsets and has no CPU kernel.
   */
  groupNorm(x: Value, groups: number, epsilon: number): Value {
    const [batch, channels] = dimensions(x.shape, 2)
    const isLong = elementCount(x.shape) / batch / groups > LARGEST_ROW
    const result = isLong ? this.#groupNormByLines(x, groups, epsilon) : this.#groupNormByRows(x, groups, epsilon)
    const [weight, bias] = ['weight', 'bias'].map((name) => this.weight(name, [channels]).name) as [string, string]
    this.graph.groupNorms.set(result.name, { x: x.name, groups, epsilon, weight, bias })
    return result
  }

  #groupNormByRows(x: Value, groups: number, epsilon: number): Value {
    const [batch, channels] = dimensions(x.shape, 2)
    const rows = reshape(x, [batch, groups, -1])
    const node = {
      opType: 'InstanceNormalization',
      inputs: [rows, this.#filled(groups, 1), this.#filled(groups, 0)],
      output: rows,
      attributes: { epsilon: { float: epsilon } },
    }
    const normalized = this.graph.keepingFloat32(() => this.graph.node(this.path, node))
    const perChannel = (name: string) => reshape(this.weight(name, [channels]), [channels, 1, 1])
    return add(mul(reshape(normalized, x.shape), perChannel('weight')), perChannel('bias'))
  }

  /** The same with mean and variance taken of each image line first. */
  #groupNormByLines(x: Value, groups: number, epsilon: number): Value {
    const [batch, channels, height, width] = dimensions(x.shape, 4)
    const groupChannels = channels / groups
    const scaled = this.graph.keepingFloat32(() => {
      const lines = reshape(x, [batch, groups, groupChannels * height, width])
      const centered = sub(lines, reduceMean(reduceMean(lines, 3), 2))
      const variance = div(reduceMean(reduceSumSquare(centered, 3), 2), scalar(x, width))
      const deviation = sqrt(add(variance, scalar(x, epsilon)))
      const scale = div(reshape(this.weight('weight', [channels]), [1, groups, groupChannels, 1]), deviation)
      return mul(reshape(centered, x.shape), reshape(scale, [batch, channels, 1, 1]))
    })
    return add(scaled, reshape(this.weight('bias', [channels]), [channels, 1, 1]))
  }

  /** torch.nn.LayerNorm over the last axis. */
  layerNorm(x: Value, epsilon = 1e-5): Value {
    const features = defined(x.shape.at(-1))
    return this.graph.node(this.path, {
      opType: 'LayerNormalization',
      inputs: [x, this.weight('weight', [features]), this.weight('bias', [features])],
      output: x,
      attributes: { axis: -1, epsilon: { float: epsilon } },
    })
  }

  /** torch.nn.Embedding: rows of a [count, features] table by int64 index; indices [...] → [..., features]. */
  embedding(indices: Value, count: number, features: number): Value {
    return this.graph.node(this.path, {
      opType: 'Gather',
      inputs: [this.weight('weight', [count, features]), indices],
      output: { dtype: 'float32', shape: [...indices.shape, features] },
    })
  }

  #filled(length: number, value: number): Value {
    return this.graph.constant(float32([length], new Float32Array(length).fill(value)))
  }
}
