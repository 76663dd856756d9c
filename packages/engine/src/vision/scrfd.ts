import type { RgbImage } from '../image/rgb-image.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import type { FloatTensor } from '../tensor/tensor.ts'
import type { Face, FaceDetector, KeyPoint } from './face.ts'
import { letterbox } from './letterbox.ts'
import { networkInput } from './network-input.ts'
import { type OnnxNetwork, openOnnxNetwork } from './onnx-network.ts'
import { overlapOf, suppressOverlaps } from './suppression.ts'

const STRIDES = [8, 16, 32]
/** Predictions at each place of the grid. */
const ANCHORS = 2
const POINTS = 5

/** insightface's `det_size`, `det_thresh` and `nms_thresh`. */
const DEFAULT_SIDE = 640
const MIN_SCORE = 0.5
const MAX_OVERLAP = 0.4

const NORMALIZATION = { mean: [127.5, 127.5, 127.5], std: [128, 128, 128] } as const

/**
 * Opens an SCRFD face detector with key points (arXiv 2105.04714), as insightface publishes it: `scrfd_10g_bnkps.onnx` of antelopev2,
 * `det_10g.onnx` of buffalo_l. Their weights are licensed for non-commercial research only.
 * @throws OnnxFileError when the file is another model
 */
export async function openScrfd(sessions: SessionCache, path: string): Promise<FaceDetector> {
  const network = await openOnnxNetwork(sessions, path, 'an SCRFD face detector with key points', 3 * STRIDES.length)
  return { detect: (image) => detect(network, image) }
}

async function detect(network: OnnxNetwork, image: RgbImage): Promise<Face[]> {
  const { width = DEFAULT_SIDE, height = DEFAULT_SIDE } = network
  const fitted = fit(image, width, height)
  const { image: canvas, scale } = letterbox(image, { width, height }, fitted, 0)
  const outputs = await network.run(networkInput(canvas, NORMALIZATION))
  const faces = STRIDES.flatMap((stride, level) => decodeLevel(outputs, level, stride, { width, scale }))
  return suppressOverlaps(faces, MAX_OVERLAP, overlapOf.pixels)
}

/** The proportions are kept, sides rounded down as insightface's; the scale is the height's, rounding included. */
function fit(image: RgbImage, width: number, height: number) {
  const ratio = image.height / image.width
  const isTall = ratio > height / width
  const newHeight = isTall ? height : Math.trunc(width * ratio)
  const newWidth = isTall ? Math.trunc(height / ratio) : width
  return { width: newWidth, height: newHeight, scale: Math.max(1, newHeight) / image.height }
}

/** The faces that one resolution of the network sees: outputs are scores, distances of the box's sides, key points, each by level. */
function decodeLevel(
  outputs: readonly FloatTensor[],
  level: number,
  stride: number,
  { width, scale }: { readonly width: number; readonly scale: number },
): Face[] {
  const [scores, distances, offsets] = [0, 1, 2].map((kind) => outputs[kind * STRIDES.length + level]?.data)
  const columns = Math.floor(width / stride)
  const faces: Face[] = []
  if (!scores || !distances || !offsets) return faces
  for (const [i, score] of scores.entries()) {
    if (score < MIN_SCORE) continue
    const cell = Math.floor(i / ANCHORS)
    const [x, y] = [(cell % columns) * stride, Math.floor(cell / columns) * stride]
    const side = (k: number) => defined(distances[i * 4 + k]) * stride
    const point = (k: number): KeyPoint => ({
      x: (x + defined(offsets[(i * POINTS + k) * 2]) * stride) / scale,
      y: (y + defined(offsets[(i * POINTS + k) * 2 + 1]) * stride) / scale,
    })
    faces.push({
      box: {
        left: (x - side(0)) / scale,
        top: (y - side(1)) / scale,
        right: (x + side(2)) / scale,
        bottom: (y + side(3)) / scale,
      },
      keyPoints: [point(0), point(1), point(2), point(3), point(4)],
      score,
    })
  }
  return faces
}
