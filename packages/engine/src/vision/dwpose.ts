import { warpAffine } from '../image/affine.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import type { FloatTensor } from '../tensor/tensor.ts'
import type { Box, KeyPoint } from './face.ts'
import { letterbox } from './letterbox.ts'
import { networkInput } from './network-input.ts'
import { type OnnxNetwork, openOnnxNetwork } from './onnx-network.ts'
import { openPoseJoints, type PointList, type Pose, type PoseDetector } from './pose.ts'
import { overlapOf, suppressOverlaps } from './suppression.ts'

const STRIDES = [8, 16, 32]
const DETECTOR_SIDE = 640
const GREY = 114
/** Box, objectness, then the classes of COCO, of which the first is people. */
const BOX_VALUES = 5
const MIN_CANDIDATE = 0.1
const MIN_SCORE = 0.3
const MAX_OVERLAP = 0.45

const POSE_SIZE = { width: 288, height: 384 }
/** A person's box is widened by this before it is cut out. */
const PADDING = 1.25
/** Bins of the coordinate classifiers per pixel (SimCC, arXiv 2107.03332). */
const BINS_PER_PIXEL = 2
/** Joints of the body whose score is not above this are not seen, points of hands and faces whose score is below it. */
const MIN_VISIBLE = 0.3

/** Where the parts' points are among the 133 of COCO-WholeBody; the feet lie between body and face. */
const PARTS = { body: [0, 17], face: [23, 91], leftHand: [91, 112], rightHand: [112, 133] } as const

const RAW = { mean: [0, 0, 0], std: [1, 1, 1], channels: 'bgr' } as const
const IMAGENET = { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] } as const

/**
 * Opens DWPose (arXiv 2307.15880, Apache-2.0): a YOLOX person detector and a whole-body pose network, `yolox_l.onnx` and
 * `dw-ll_ucoco_384.onnx` of `yzd-v/DWPose`. Of the 133 points it finds, those of the feet are left out.
 * @throws OnnxFileError when a file is another model
 */
export async function openDwPose(
  sessions: SessionCache,
  detectorPath: string,
  posePath: string,
): Promise<PoseDetector> {
  const detector = await openOnnxNetwork(sessions, detectorPath, 'a YOLOX person detector', 1)
  const poser = await openOnnxNetwork(sessions, posePath, 'a SimCC pose network', 2)
  return {
    findsHandsAndFaces: true,
    async detect(image) {
      const people = await findPeople(detector, image)
      // Where nobody is found, DWPose takes the whole picture for a person.
      const boxes = people.length > 0 ? people : [{ left: 0, top: 0, right: image.width, bottom: image.height }]
      const poses: Pose[] = []
      for (const box of boxes) poses.push(await findPose(poser, image, box))
      return poses
    },
  }
}

async function findPeople(network: OnnxNetwork, image: RgbImage): Promise<Box[]> {
  const { width = DETECTOR_SIDE, height = DETECTOR_SIDE } = network
  const scale = Math.min(height / image.height, width / image.width)
  const fitted = { width: Math.trunc(image.width * scale), height: Math.trunc(image.height * scale), scale }
  const { image: canvas } = letterbox(image, { width, height }, fitted, GREY)
  const [output] = await network.run(networkInput(canvas, RAW))
  const people = decodePeople(output as FloatTensor, width, height, scale)
  const kept = suppressOverlaps(people, MAX_OVERLAP, overlapOf.pixels)
  return kept.filter(({ score }) => score > MIN_SCORE).map(({ box }) => box)
}

/** Rows of [1, places, 5 + classes]: centre and logarithm of the size in grid units, objectness, probability of each class. */
function decodePeople({ data, shape }: FloatTensor, width: number, height: number, scale: number) {
  const values = defined(shape[2])
  const people: { box: Box; score: number }[] = []
  let row = 0
  for (const stride of STRIDES) {
    const [columns, lines] = [Math.floor(width / stride), Math.floor(height / stride)]
    for (let cell = 0; cell < columns * lines; cell++, row++) {
      const at = (k: number) => defined(data[row * values + k])
      const score = Math.fround(at(4) * at(BOX_VALUES))
      if (!(score > MIN_CANDIDATE)) continue
      const x = (at(0) + (cell % columns)) * stride
      const y = (at(1) + Math.floor(cell / columns)) * stride
      const [halfWidth, halfHeight] = [(Math.exp(at(2)) * stride) / 2, (Math.exp(at(3)) * stride) / 2]
      const box = {
        left: (x - halfWidth) / scale,
        top: (y - halfHeight) / scale,
        right: (x + halfWidth) / scale,
        bottom: (y + halfHeight) / scale,
      }
      people.push({ box, score })
    }
  }
  return people
}

async function findPose(network: OnnxNetwork, image: RgbImage, box: Box): Promise<Pose> {
  const { width = POSE_SIZE.width, height = POSE_SIZE.height } = network
  const centre = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 }
  const padded = { width: (box.right - box.left) * PADDING, height: (box.bottom - box.top) * PADDING }
  // The shorter side grows until the box has the network's proportions.
  const isWide = padded.width > (padded.height * width) / height
  const scale = width / (isWide ? padded.width : (padded.height * width) / height)
  const matrix = [scale, 0, width / 2 - scale * centre.x, 0, scale, height / 2 - scale * centre.y] as const
  const outputs = await network.run(networkInput(warpAffine(image, matrix, width, height), IMAGENET))
  const [columns, rows] = outputs as [FloatTensor, FloatTensor]
  const points = Array.from({ length: defined(columns.shape[1]) }, (_, point): ScoredPoint => {
    const [column, row] = [peak(columns, point), peak(rows, point)]
    return {
      x: (column.index / BINS_PER_PIXEL - width / 2) / scale + centre.x,
      y: (row.index / BINS_PER_PIXEL - height / 2) / scale + centre.y,
      score: Math.min(column.value, row.value),
    }
  })
  const part = ([start, end]: readonly [number, number], isSeen: (score: number) => boolean): PointList =>
    points.slice(start, end).map(({ x, y, score }) => (isSeen(score) ? { x, y } : undefined))
  const isPointSeen = (score: number) => score >= MIN_VISIBLE
  return {
    body: openPoseJoints(part(PARTS.body, (score) => score > MIN_VISIBLE)),
    face: part(PARTS.face, isPointSeen),
    leftHand: part(PARTS.leftHand, isPointSeen),
    rightHand: part(PARTS.rightHand, isPointSeen),
  }
}

interface ScoredPoint extends KeyPoint {
  readonly score: number
}

/** The largest of a joint's classes, the first of equals. */
function peak({ data, shape }: FloatTensor, joint: number): { index: number; value: number } {
  const bins = defined(shape[2])
  let [index, value] = [0, defined(data[joint * bins])]
  for (let bin = 1; bin < bins; bin++) {
    const other = defined(data[joint * bins + bin])
    if (other > value) [index, value] = [bin, other]
  }
  return { index, value }
}
