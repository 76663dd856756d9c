import type { RgbImage } from '../image/rgb-image.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import type { FloatTensor } from '../tensor/tensor.ts'
import { letterbox } from './letterbox.ts'
import { networkInput } from './network-input.ts'
import { type OnnxNetwork, openOnnxNetwork } from './onnx-network.ts'
import { bodyAlone, openPoseJoints, type Pose, type PoseDetector } from './pose.ts'

const SIDE = 192
/** Places along a side of the maps; four pixels each. */
const CELLS = 48
const CELL_PIXELS = SIDE / CELLS
const JOINTS = 17

/** Keeps the weight of a place finite that lies where a joint is expected. */
const DISTANCE_OFFSET = 1.8

/** Joints whose score is not above this are not seen, and fewer joints than that are nobody. */
const MIN_SCORE = 0.3
const MIN_JOINTS = 4

const RAW = { mean: [0, 0, 0], std: [1, 1, 1] } as const

/**
 * Opens MoveNet Lightning, which finds the one person a picture shows (Google, Apache-2.0). It is small enough to be bundled: it is what
 * finds poses where nothing was downloaded. DWPose sees several people, and more exactly.
 * @throws OnnxFileError when the file is another model
 */
export async function openMoveNet(sessions: SessionCache, path: string): Promise<PoseDetector> {
  const network = await openOnnxNetwork(sessions, path, 'MoveNet', 4)
  return { findsHandsAndFaces: false, detect: (image) => detect(network, image) }
}

async function detect(network: OnnxNetwork, image: RgbImage): Promise<Pose[]> {
  const scale = Math.min(SIDE / image.height, SIDE / image.width)
  const width = Math.max(1, Math.trunc(image.width * scale))
  const height = Math.max(1, Math.trunc(image.height * scale))
  const [left, top] = [Math.floor((SIDE - width) / 2), Math.floor((SIDE - height) / 2)]
  const { image: square } = letterbox(image, { width: SIDE, height: SIDE }, { width, height, scale, left, top }, 0)
  const joints = decodeJoints(await network.run(networkInput(square, RAW)))
  const seen = joints.map(({ x, y, score }) =>
    score > MIN_SCORE ? { x: (x - left) / scale, y: (y - top) / scale } : undefined,
  )
  return seen.filter((joint) => joint !== undefined).length < MIN_JOINTS ? [] : [bodyAlone(openPoseJoints(seen))]
}

interface ScoredPoint {
  readonly x: number
  readonly y: number
  readonly score: number
}

/**
 * COCO's joints in pixels of the square. From the person's centre a regression says about where each joint is; the joint's own map,
 * weighted by the distance from there, says at which place; an offset says where in that place.
 */
function decodeJoints(outputs: readonly FloatTensor[]): ScoredPoint[] {
  const [heatmaps, centre, regression, offsets] = outputs.map(({ data }) => data)
  if (!heatmaps || !centre || !regression || !offsets) return []
  const plane = CELLS * CELLS
  const middle = largest(plane, (i) => defined(centre[i]))
  return Array.from({ length: JOINTS }, (_, joint) => {
    const expectedY = Math.floor(middle / CELLS) + defined(regression[2 * joint * plane + middle])
    const expectedX = (middle % CELLS) + defined(regression[(2 * joint + 1) * plane + middle])
    const place = largest(plane, (i) => {
      const distance = Math.hypot(Math.floor(i / CELLS) - expectedY, (i % CELLS) - expectedX)
      return defined(heatmaps[joint * plane + i]) / (distance + DISTANCE_OFFSET)
    })
    return {
      x: ((place % CELLS) + defined(offsets[(2 * joint + 1) * plane + place])) * CELL_PIXELS,
      y: (Math.floor(place / CELLS) + defined(offsets[2 * joint * plane + place])) * CELL_PIXELS,
      score: defined(heatmaps[joint * plane + place]),
    }
  })
}

/** The first index of the largest value. */
function largest(count: number, valueAt: (index: number) => number): number {
  let [best, value] = [0, valueAt(0)]
  for (let i = 1; i < count; i++) {
    const other = valueAt(i)
    if (other > value) [best, value] = [i, other]
  }
  return best
}
