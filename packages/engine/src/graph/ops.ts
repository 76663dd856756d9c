/**
 * ONNX operators on values, with the shape each result has. Nodes are named after the value they extend, so a profile or
 * an error message of the runtime says which layer it speaks of.
 */
import { defined } from '../tensor/defined.ts'
import { DYNAMIC, dimensions, elementCount, float32, int64, type Shape } from '../tensor/tensor.ts'
import type { NodeSpec, Value } from './graph.ts'

/** Where a value belongs: `resnets.1` for the node `resnets.1/Add` and for the weight `resnets.1.bias`. */
function pathOf(value: Value): string {
  const slash = value.name.lastIndexOf('/')
  return value.name.slice(0, Math.max(0, slash < 0 ? value.name.lastIndexOf('.') : slash))
}

function unary(x: Value, opType: string, extra: Pick<NodeSpec, 'domain' | 'attributes'> = {}): Value {
  return x.graph.node(pathOf(x), { opType, inputs: [x], output: x, ...extra })
}

/** The common shape of two operands under NumPy's broadcasting rule. */
function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const [m, n] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1]
    if (m !== n && m !== 1 && n !== 1) throw new Error(`cannot broadcast [${a}] with [${b}]`)
    return Math.max(m, n)
  })
}

function binary(opType: string, a: Value, b: Value): Value {
  return a.graph.node(pathOf(a), {
    opType,
    inputs: [a, b],
    output: { dtype: a.dtype, shape: broadcast(a.shape, b.shape) },
  })
}

export const add = (a: Value, b: Value): Value => binary('Add', a, b)
export const sub = (a: Value, b: Value): Value => binary('Sub', a, b)
export const mul = (a: Value, b: Value): Value => binary('Mul', a, b)
export const div = (a: Value, b: Value): Value => binary('Div', a, b)

/** A float32 scalar. */
export function scalar(like: Value, value: number): Value {
  return like.graph.constant(float32([], Float32Array.of(value)))
}

/** A float32 vector. */
export function vector(like: Value, values: Float32Array): Value {
  return like.graph.constant(float32([values.length], values))
}

export const sqrt = (x: Value): Value => unary(x, 'Sqrt')
export const sin = (x: Value): Value => unary(x, 'Sin')
export const cos = (x: Value): Value => unary(x, 'Cos')

/** x · sigmoid(α x): one multithreaded kernel in onnxruntime, where Sigmoid and Mul would be two. */
function scaledSwish(x: Value, alpha: number): Value {
  return unary(x, 'QuickGelu', { domain: 'com.microsoft', attributes: { alpha: { float: alpha } } })
}

export const silu = (x: Value): Value => scaledSwish(x, 1)

/** OpenAI CLIP's approximation of gelu, x · sigmoid(1.702 x). */
export const quickGelu = (x: Value): Value => scaledSwish(x, 1.702)

/** The exact gelu, x · Φ(x). */
export const gelu = (x: Value): Value => unary(x, 'Gelu')

/** GPT-2's approximation of gelu by the hyperbolic tangent (`gelu_new`). */
export const geluTanh = (x: Value): Value => unary(x, 'Gelu', { attributes: { approximate: 'tanh' } })

export const relu = (x: Value): Value => unary(x, 'Relu')
export const tanh = (x: Value): Value => unary(x, 'Tanh')

export function clip(x: Value, low: number, high: number): Value {
  return x.graph.node(pathOf(x), { opType: 'Clip', inputs: [x, scalar(x, low), scalar(x, high)], output: x })
}

function reduce(opType: string, x: Value, axis: number): Value {
  const shape = x.shape.map((d, i) => (i === axis ? 1 : d))
  const node = {
    opType,
    inputs: [x, x.graph.constant(int64([1], [axis]))],
    output: { dtype: x.dtype, shape },
    attributes: { keepdims: 1 },
  }
  return x.graph.keepingFloat32(() => x.graph.node(pathOf(x), node))
}

/** The mean along one axis, which stays with size 1. */
export const reduceMean = (x: Value, axis: number): Value => reduce('ReduceMean', x, axis)

/** The sum of squares along one axis, which stays with size 1. */
export const reduceSumSquare = (x: Value, axis: number): Value => reduce('ReduceSumSquare', x, axis)

/** Reshapes; one dimension may be −1, which stays open where `x` has an open one. */
export function reshape(x: Value, shape: Shape): Value {
  const known = shape.reduce((product, d) => (d < 0 ? product : product * d), 1)
  const isOpen = x.shape.includes(DYNAMIC)
  const resolved = isOpen ? shape : shape.map((d) => (d < 0 ? elementCount(x.shape) / known : d))
  const fits = isOpen ? shape.filter((d) => d < 0).length === 1 : elementCount(resolved) === elementCount(x.shape)
  if (!fits) throw new Error(`cannot reshape [${x.shape}] to [${shape}]`)
  const target = x.graph.constant(int64([resolved.length], resolved))
  return x.graph.node(pathOf(x), {
    opType: 'Reshape',
    inputs: [x, target],
    output: { dtype: x.dtype, shape: resolved },
  })
}

export function transpose(x: Value, perm: readonly number[]): Value {
  const shape = perm.map((axis) => defined(x.shape[axis]))
  return x.graph.node(pathOf(x), {
    opType: 'Transpose',
    inputs: [x],
    output: { dtype: x.dtype, shape },
    attributes: { perm },
  })
}

export function concat(values: readonly Value[], axis: number): Value {
  const [first] = values
  if (!first) throw new Error('nothing to concatenate')
  const shape = first.shape.map((d, i) => (i === axis ? values.reduce((sum, v) => sum + defined(v.shape[i]), 0) : d))
  return first.graph.node(pathOf(first), {
    opType: 'Concat',
    inputs: values,
    output: { dtype: first.dtype, shape },
    attributes: { axis },
  })
}

/** Splits an axis into `parts` equal pieces. */
export function split(x: Value, parts: number, axis: number): Value[] {
  const size = defined(x.shape[axis]) / parts
  const shape = x.shape.map((d, i) => (i === axis ? size : d))
  return x.graph.nodes(pathOf(x), {
    opType: 'Split',
    inputs: [x],
    outputs: Array.from({ length: parts }, () => ({ dtype: x.dtype, shape })),
    attributes: { axis, num_outputs: parts },
  })
}

/** Elements `start … end-1` of one axis. */
export function slice(x: Value, axis: number, start: number, end: number): Value {
  const shape = x.shape.map((d, i) => (i === axis ? end - start : d))
  const [starts, ends, axes] = [start, end, axis].map((n) => x.graph.constant(int64([1], [n])))
  return x.graph.node(pathOf(x), {
    opType: 'Slice',
    inputs: [x, starts, ends, axes],
    output: { dtype: x.dtype, shape },
  })
}

/** Repeats along broadcast dimensions to `shape`. */
export function expand(x: Value, shape: Shape): Value {
  const target = x.graph.constant(int64([shape.length], shape))
  return x.graph.node(pathOf(x), { opType: 'Expand', inputs: [x, target], output: { dtype: x.dtype, shape } })
}

/** Rows of `table` by integer index: the indices' shape followed by the table's row shape. */
export function gather(table: Value, indices: Value): Value {
  return table.graph.node(pathOf(indices), {
    opType: 'Gather',
    inputs: [table, indices],
    output: { dtype: table.dtype, shape: [...indices.shape, ...table.shape.slice(1)] },
  })
}

/** Zero padding of a [B, C, H, W] map on the right and at the bottom. */
export function padRightBottom(x: Value, right: number, bottom: number): Value {
  const [b, c, h, w] = dimensions(x.shape, 4)
  const pads = x.graph.constant(int64([8], [0, 0, 0, 0, 0, 0, bottom, right]))
  return x.graph.node(pathOf(x), {
    opType: 'Pad',
    inputs: [x, pads],
    output: { dtype: x.dtype, shape: [b, c, h + bottom, w + right] },
  })
}

/** Nearest-neighbour upsampling of [B, C, h, w] to height × width, as torch's interpolate(mode="nearest"). */
export function upsampleNearest(x: Value, height: number, width: number): Value {
  const shape = [...x.shape.slice(0, 2), height, width]
  return x.graph.node(pathOf(x), {
    opType: 'Resize',
    inputs: [x, undefined, undefined, x.graph.constant(int64([4], shape))],
    output: { dtype: x.dtype, shape },
    attributes: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  })
}

/** torch's pixel_shuffle: [B, C·n², h, w] → [B, C, n·h, n·w], groups of n² channels spread over n×n pixels. */
export function pixelShuffle(x: Value, n: number): Value {
  const [batch, channels, height, width] = dimensions(x.shape, 4)
  return x.graph.node(pathOf(x), {
    opType: 'DepthToSpace',
    inputs: [x],
    output: { dtype: x.dtype, shape: [batch, channels / n ** 2, height * n, width * n] },
    attributes: { blocksize: n, mode: 'CRD' },
  })
}

/**
 * softmax(q kᵀ / √d) v over `heads` heads; q [B, S, heads·d], k and v [B, L, heads·d], result [B, S, heads·d].
 * onnxruntime's fused operator: on the CPU it is a flash attention (no S×L matrix) as long as there is no bias. One head of
 * 512 over 16,384 positions (a VAE at 1024×1024) takes 162 MB above its inputs, where the matrix alone would take 1 GB.
 * @param bias added to the scores, broadcastable to [B, heads, S, L]
 */
export function multiHeadAttention(q: Value, k: Value, v: Value, heads: number, bias?: Value): Value {
  return q.graph.node(pathOf(q), {
    opType: 'MultiHeadAttention',
    domain: 'com.microsoft',
    inputs: [q, k, v, undefined, undefined, ...(bias ? [bias] : [])],
    output: { dtype: q.dtype, shape: [...q.shape.slice(0, 2), defined(v.shape[2])] },
    attributes: { num_heads: heads },
  })
}
