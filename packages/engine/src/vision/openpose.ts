import { checkWeights } from '../checkpoint/check-weights.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { type ComponentWeights, openWeightFile } from '../checkpoint/component-weights.ts'
import type { WeightCache } from '../checkpoint/prepared-weights.ts'
import { areaWeights, lanczosWeights, resampleRgb } from '../image/opencv-resample.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { buildOpenPoseBodyGraph, OPENPOSE_FIRST_LAYER, OPENPOSE_STRIDE } from '../models/openpose-body.ts'
import type { Runtime } from '../runtime/session.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import { dimensions, type FloatTensor } from '../tensor/tensor.ts'
import { networkInput } from './network-input.ts'
import { OpenPoseMaps, smartWeights } from './openpose-maps.ts'
import { openPosePeople } from './openpose-people.ts'
import { bodyAlone, type Pose, type PoseDetector } from './pose.ts'

/** The shorter side at which people are looked for, and what both sides are multiples of. */
const DETECTION_SIDE = 512
const DETECTION_MULTIPLE = 64
/** Height of the picture that the network is shown (half of OpenPose's box of 368). */
const NETWORK_HEIGHT = 0.5 * 368
const GREY = 128

const NORMALIZATION = { mean: [128, 128, 128], std: [256, 256, 256], channels: 'bgr' } as const

/** What a network with weights of its own needs of the engine. */
export interface NetworkHost {
  readonly sessions: SessionCache
  readonly weightCache: Pick<WeightCache, 'prepare'>
  readonly runtime: Runtime
}

/**
 * Opens OpenPose's body network, `body_pose_model.pth`, whose weights are for non-commercial research only (CMU). It sees several people,
 * and finds bodies alone.
 * @throws CheckpointError when the file is another model, WeightFileError
 */
export async function openOpenPose(host: NetworkHost, path: string): Promise<PoseDetector> {
  const network = await loadBodyNetwork(host, path)
  return { findsHandsAndFaces: false, detect: (image) => detect(network, image) }
}

/** From a picture [1, 3, H, W] to what `buildOpenPoseBodyGraph` says. */
export type BodyNetwork = (image: FloatTensor) => Promise<{ readonly fields: FloatTensor; readonly heat: FloatTensor }>

/** @throws CheckpointError when the file is another model, WeightFileError */
export async function loadBodyNetwork(
  { sessions, weightCache, runtime }: NetworkHost,
  path: string,
): Promise<BodyNetwork> {
  const stored = await openWeightFile('openpose', path)
  const build = (width: number, height: number) =>
    buildOpenPoseBodyGraph((name) => outChannels(stored, name), { width, height })
  const graph = build(OPENPOSE_STRIDE, OPENPOSE_STRIDE)
  checkWeights(stored, [graph])
  const { convolutionBlock, ...form } = await runtime.weightForm([graph])
  const weights = await weightCache.prepare(stored, form)
  return async (image) => {
    const [height, width] = dimensions(image.shape.slice(2), 2)
    const session = await sessions.get(weights, `${width}x${height}`, () => build(width, height))
    return (await session.run({ image })) as { fields: FloatTensor; heat: FloatTensor }
  }
}

function outChannels({ source, tensors }: ComponentWeights, name: string): number {
  if (!tensors.has(OPENPOSE_FIRST_LAYER)) throw new CheckpointError(`${source} is not OpenPose's body network`)
  // A layer that is missing is named when the graph is held against the file.
  return tensors.get(`${name}.weight`)?.shape[0] ?? 1
}

async function detect(network: BodyNetwork, image: RgbImage): Promise<Pose[]> {
  const { size, inner, input } = openPoseInput(image)
  const { fields, heat } = await network(input)
  const [height, width] = dimensions(input.shape.slice(2), 2)
  const grid = { width: width / OPENPOSE_STRIDE, height: height / OPENPOSE_STRIDE }
  const scale = { x: image.width / size.width, y: image.height / size.height }
  const people = await openPosePeople(new OpenPoseMaps(grid, inner, size), fields, heat)
  return people.map((body) => bodyAlone(body.map((joint) => joint && { x: joint.x * scale.x, y: joint.y * scale.y })))
}

/**
 * What the network is shown of a picture, as controlnet_aux's OpenposeDetector prepares it.
 * @returns the size at which people are looked for, the size of the network's picture without its padding, and [1, 3, H, W] with it
 */
export function openPoseInput(image: RgbImage) {
  const k = DETECTION_SIDE / Math.min(image.width, image.height)
  const fit = (side: number) => roundHalfEven((side * k) / DETECTION_MULTIPLE) * DETECTION_MULTIPLE
  const size = { width: fit(image.width), height: fit(image.height) }
  const resized = resampleRgb(image, size, k > 1 ? lanczosWeights(image, size) : areaWeights(image, size))
  const scale = NETWORK_HEIGHT / size.height
  const inner = { width: Math.trunc(size.width * scale), height: Math.trunc(size.height * scale) }
  const small = resampleRgb(resized, inner, smartWeights(size, inner))
  const padded = padded8(small)
  return { size, inner, input: networkInput(padded, NORMALIZATION) }
}

/** Grey on the right and below, up to multiples of the stride. */
function padded8({ width, height, data }: RgbImage): RgbImage {
  const up = (side: number) => Math.ceil(side / OPENPOSE_STRIDE) * OPENPOSE_STRIDE
  const canvas = { width: up(width), height: up(height) }
  const out = new Uint8Array(canvas.width * canvas.height * 3).fill(GREY)
  for (let y = 0; y < height; y++) out.set(data.subarray(y * width * 3, (y + 1) * width * 3), y * canvas.width * 3)
  return { ...canvas, data: out }
}
