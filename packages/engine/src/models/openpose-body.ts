import { Graph, type Value } from '../graph/graph.ts'
import { concat } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { dimensions } from '../tensor/tensor.ts'

/** Convolutions of the trunk (VGG-19's first ten and two more), and where its pictures are halved. */
const TRUNK = [
  ['conv1_1', 'conv1_2'],
  ['conv2_1', 'conv2_2'],
  ['conv3_1', 'conv3_2', 'conv3_3', 'conv3_4'],
  ['conv4_1', 'conv4_2', 'conv4_3_CPM', 'conv4_4_CPM'],
] as const

const STAGES = [2, 3, 4, 5, 6] as const
const LAST_STAGE = 6

/** Pixels of the picture per place of the maps. */
export const OPENPOSE_STRIDE = 8

/** The layer that says by its shape which file this is, and how wide the first layer is. */
export const OPENPOSE_FIRST_LAYER = `${TRUNK[0][0]}.weight`

/**
 * The body network of OpenPose (arXiv 1812.08008), as `body_pose_model.pth` holds it: `image` [1, 3, H, W] → `fields` [1, 38, H/8, W/8],
 * which way limbs go, and `heat` [1, 19, H/8, W/8], where joints are.
 * @param outChannels of a convolution by its name in the file
 * @param size of the picture, multiples of 8
 */
export function buildOpenPoseBodyGraph(
  outChannels: (name: string) => number,
  { width, height }: { readonly width: number; readonly height: number },
): Graph {
  const graph = new Graph('openpose')
  const root = new Scope(graph)
  const convolve = (x: Value, name: string, kernel: number) => root.child(name).conv2d(x, outChannels(name), { kernel })
  const chain = (x: Value, nameOf: (i: number) => string, kernels: readonly number[], endsInRelu: boolean) =>
    kernels.reduce((y, kernel, i) => {
      const next = convolve(y, nameOf(i + 1), kernel)
      return i < kernels.length - 1 || endsInRelu ? relu(next) : next
    }, x)
  let trunk = graph.input('image', 'float32', [1, 3, height, width])
  for (const [i, names] of TRUNK.entries()) {
    if (i > 0) trunk = halve(trunk)
    for (const name of names) trunk = relu(convolve(trunk, name, 3))
  }
  const branch = (name: string) => chain(trunk, (i) => `conv5_${i}_CPM_${name}`, [3, 3, 3, 1, 1], false)
  let [fields, heat] = [branch('L1'), branch('L2')]
  for (const stage of STAGES) {
    const joined = concat([fields, heat, trunk], 1)
    // The module that the file was made for leaves the last heat map its relu.
    const refine = (name: string, endsInRelu: boolean) =>
      chain(joined, (i) => `Mconv${i}_stage${stage}_${name}`, [7, 7, 7, 7, 7, 1, 1], endsInRelu)
    ;[fields, heat] = [refine('L1', false), refine('L2', stage === LAST_STAGE)]
  }
  graph.output('fields', fields)
  graph.output('heat', heat)
  return graph
}

function relu(x: Value): Value {
  return x.graph.node('', { opType: 'Relu', inputs: [x], output: x })
}

/** The largest of each two by two. */
function halve(x: Value): Value {
  const [batch, channels, height, width] = dimensions(x.shape, 4)
  return x.graph.node('', {
    opType: 'MaxPool',
    inputs: [x],
    output: { dtype: x.dtype, shape: [batch, channels, height >> 1, width >> 1] },
    attributes: { kernel_shape: [2, 2], strides: [2, 2] },
  })
}
