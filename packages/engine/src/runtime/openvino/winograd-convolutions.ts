import type { OnnxInitializer, OnnxModel, OnnxNode } from '../../formats/onnx.ts'
import type { Shape } from '../../tensor/tensor.ts'
import { dimensions, elementCount } from '../../tensor/tensor.ts'
import { NodeChain } from '../node-chain.ts'

export interface WinogradConvolutions {
  readonly model: OnnxModel
  /** Float32 values that the filters take in their new form, by the name of the filter they were made of. */
  readonly made: ReadonlyMap<string, number>
}

/**
 * Channels in and out, as half their harmonic mean, from which the products that are saved outweigh the maps that are written besides: on Zen 4 in
 * bfloat16 256 channels take 0.78 of the time on maps of 256² and 320 to 512 take 0.57 to 0.70, but 128 on maps of 512² as long as before.
 */
const LEAST_CHANNELS = 100

/** Values of a map from which the gain is worth filters of 16 places in place of 9, which are kept with the compiled model. */
const LEAST_AREA = 1024

/** What each place of a filter of three becomes at four: Winograd's F(2, 3). */
const FILTER_TRANSFORM = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
] as const

/** Which two of four neighbouring values are added at each of four places, and with which sign. */
const INPUT_TRANSFORM = [
  { taps: [0, 2], signs: [1, -1] },
  { taps: [1, 2], signs: [1, 1] },
  { taps: [1, 2], signs: [-1, 1] },
  { taps: [1, 3], signs: [1, -1] },
] as const

const PLACES = [0, 1, 2, 3] as const

/**
 * Writes 3×3 convolutions as Winograd's F(2×2, 3×3) ("Fast Algorithms for Convolutional Neural Networks", Lavin and Gray 2015): for each 2×2
 * results the 4×4 values that they see become 16 sums, a 1×1 convolution mixes the channels of each, and sums of these are the results; 16
 * products in place of 36. The sums of values are depthwise convolutions of two times two taps in strides of two, so that maps stay in the layout
 * that OpenVINO's convolutions want. Filters are transformed when the model is compiled. Sums of values that nearly cancel are rounded, so in
 * bfloat16 a result is 2.4 times as far from float32 as that of the convolution itself.
 * @param shapeOf shape of a value that a node reads or makes
 * @param filterOf shape of a stored filter; undefined for what is no stored filter
 */
export function winogradConvolutions(
  model: OnnxModel,
  shapeOf: (name: string) => Shape,
  filterOf: (name: string) => Shape | undefined,
): WinogradConvolutions {
  const made = new Map<string, number>()
  const initializers: OnnxInitializer[] = []
  const nodes = model.nodes.flatMap((node) => {
    const [x = '', weight = '', ...bias] = node.inputs
    const filter = filterOf(weight)
    if (filter === undefined || !isWorthIt(node, shapeOf(x), filter)) return [node]
    const chain = new NodeChain(node, 'winograd')
    build(chain, { x, weight, filter, bias, result: node.outputs[0] ?? '' })
    initializers.push(...chain.initializers)
    made.set(weight, (elementCount(filter) / 9) * 16)
    return chain.nodes
  })
  if (made.size === 0) return { model, made }
  return { model: { ...model, nodes, initializers: [...model.initializers, ...initializers] }, made }
}

function isWorthIt({ opType, attributes }: OnnxNode, map: Shape, filter: Shape): boolean {
  const { kernel_shape: kernel, strides, pads } = attributes
  if (opType !== 'Conv' || String(kernel) !== '3,3' || String(strides) !== '1,1' || String(pads) !== '1,1,1,1')
    return false
  const [, , height, width] = dimensions(map, 4)
  const [outChannels, inChannels] = dimensions(filter, 4)
  if (height % 2 !== 0 || width % 2 !== 0 || height * width < LEAST_AREA) return false
  return (outChannels * inChannels) / (outChannels + inChannels) >= LEAST_CHANNELS
}

interface Convolution {
  readonly x: string
  readonly weight: string
  /** [O, I, 3, 3] */
  readonly filter: Shape
  readonly bias: readonly string[]
  readonly result: string
}

function build(chain: NodeChain, { x, weight, filter, bias, result }: Convolution): void {
  const [, inChannels] = dimensions(filter, 4)
  const filters = transformedFilters(chain, weight, filter)
  /** Products at a row and column of the four times four places. */
  const product = (row: number, column: number) => {
    const tile = inputSum(chain, x, inChannels, [row, column])
    // This place is in each of the four results once.
    const ownBias = row === 1 && column === 1 ? bias : []
    return chain.add('Conv', [tile, filters[4 * row + column] ?? '', ...ownBias], {
      kernel_shape: [1, 1],
      strides: [1, 1],
    })
  }
  const columns = PLACES.map((column) =>
    outputPair(
      chain,
      PLACES.map((row) => product(row, column)),
    ),
  )
  const rows = [0, 1].map((row) =>
    outputPair(
      chain,
      columns.map((pair) => pair[row] ?? ''),
    ),
  )
  chain.add('DepthToSpace', [chain.add('Concat', rows.flat(), { axis: 1 })], { blocksize: 2, mode: 'DCR' }, result)
}

/** Filters [O, I, 1, 1] of the four times four places, row by row. */
function transformedFilters(chain: NodeChain, weight: string, filter: Shape): readonly string[] {
  const [outChannels, inChannels] = dimensions(filter, 4)
  const matrix = FILTER_TRANSFORM.flatMap((row) =>
    FILTER_TRANSFORM.flatMap((column) => row.flatMap((down) => column.map((along) => down * along))),
  )
  const places = chain.add('Reshape', [weight, chain.integers([outChannels * inChannels, 9])])
  const lines = chain.add('Transpose', [places], { perm: [1, 0] })
  const transformed = chain.add('MatMul', [chain.floats([16, 9], matrix), lines])
  const name = chain.nextName()
  const outputs = Array.from({ length: 16 }, (_, place) => `${name}:${place}`)
  chain.nodes.push({
    name,
    opType: 'Split',
    domain: '',
    inputs: [transformed],
    outputs,
    attributes: { axis: 0, num_outputs: 16 },
  })
  const own = chain.integers([outChannels, inChannels, 1, 1])
  return outputs.map((output) => chain.add('Reshape', [output, own]))
}

/** The sums of every second value and its neighbours at one place, [B, I, H/2, W/2]. */
function inputSum(chain: NodeChain, x: string, channels: number, place: readonly [number, number]): string {
  const [rows, columns] = place.map((at) => INPUT_TRANSFORM[at] ?? INPUT_TRANSFORM[0]) as [
    (typeof INPUT_TRANSFORM)[number],
    (typeof INPUT_TRANSFORM)[number],
  ]
  const signs = rows.signs.flatMap((down) => columns.signs.map((along) => down * along))
  const kernel = chain.add('Expand', [chain.floats([1, 1, 2, 2], signs), chain.integers([channels, 1, 2, 2])])
  const axes = [rows.taps, columns.taps]
  return chain.add('Conv', [x, kernel], {
    kernel_shape: [2, 2],
    strides: [2, 2],
    dilations: axes.map(([first, second]) => second - first),
    // The four values begin one before the first of two results and end one behind the second.
    pads: [...axes.map(([first]) => 1 - first), ...axes.map(([, second]) => second - 2)],
    group: channels,
  })
}

/** Two results of four places. */
function outputPair(chain: NodeChain, places: readonly string[]): readonly [string, string] {
  const [first = '', second = '', third = '', fourth = ''] = places
  const before = chain.add('Add', [chain.add('Add', [first, second]), third])
  return [before, chain.add('Sub', [chain.add('Sub', [second, third]), fourth])]
}
