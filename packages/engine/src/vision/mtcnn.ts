import { join } from 'node:path'
import type { RgbImage } from '../image/rgb-image.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import { dimensions, type FloatTensor, float32 } from '../tensor/tensor.ts'
import { averagePool, type Region } from './average-pool.ts'
import type { Box, Face, FaceDetector, KeyPoint } from './face.ts'
import { type OnnxNetwork, openOnnxNetwork } from './onnx-network.ts'
import { overlapOf, suppressOverlaps } from './suppression.ts'

/** facenet-pytorch's thresholds of the three networks, and the step between sizes. */
const MIN_SCORES = [0.6, 0.7, 0.7] as const
const PYRAMID_FACTOR = 0.709

/** The first network looks through a window of this side at every other pixel. */
const WINDOW = 12
const STRIDE = 2

/** The smallest face looked for: of the picture's shorter side, and in pixels. */
const SMALLEST_SHARE = 0.05
const SMALLEST_PIXELS = 20

/** Boxes that the second and third network look at in one run. */
const BATCH = 128

interface Networks {
  readonly propose: OnnxNetwork
  readonly refine: OnnxNetwork
  readonly output: OnnxNetwork
}

interface Candidate {
  readonly box: Box
  readonly score: number
}

/**
 * Opens MTCNN (arXiv 1604.02878), three small networks that find a face and its five points, as facenet-pytorch runs them. Its
 * weights may be used for anything, so it is what finds faces where nothing was downloaded; SCRFD sees more, and more exactly.
 * @param folder with `pnet.onnx`, `rnet.onnx` and `onet.onnx`
 * @throws OnnxFileError when a file is another model
 */
export async function openMtcnn(sessions: SessionCache, folder: string): Promise<FaceDetector> {
  const networks = {
    propose: await openOnnxNetwork(sessions, join(folder, 'pnet.onnx'), 'MTCNN’s first network', 2),
    refine: await openOnnxNetwork(sessions, join(folder, 'rnet.onnx'), 'MTCNN’s second network', 2),
    output: await openOnnxNetwork(sessions, join(folder, 'onet.onnx'), 'MTCNN’s third network', 3),
  }
  return { detect: (image) => detect(networks, image) }
}

async function detect(networks: Networks, image: RgbImage): Promise<Face[]> {
  const proposed = await propose(networks.propose, image)
  const refined = await refine(networks.refine, image, proposed.map(squared))
  return finish(networks.output, image, refined.map(squared))
}

/** The first network on the picture in ever smaller sizes. */
async function propose(network: OnnxNetwork, image: RgbImage): Promise<Candidate[]> {
  const shorter = Math.min(image.width, image.height)
  const first = WINDOW / Math.max(SMALLEST_PIXELS, SMALLEST_SHARE * shorter)
  const found: (Candidate & { readonly shift: readonly number[] })[] = []
  for (let scale = first; shorter * scale >= WINDOW; scale *= PYRAMID_FACTOR) {
    const size = { width: Math.trunc(image.width * scale + 1), height: Math.trunc(image.height * scale + 1) }
    const pixels = averagePool(image, { left: 0, top: 0, right: image.width, bottom: image.height }, size)
    const [scores, shifts] = await network.run(float32([1, 3, size.height, size.width], pixels))
    const windows = windowsAbove(defined(scores), defined(shifts), scale)
    found.push(...without(windows, 0.5))
  }
  return without(found, 0.7).map(({ box, score, shift }) => {
    const [width, height] = [box.right - box.left, box.bottom - box.top]
    return { score, box: moved(box, shift, width, height) }
  })
}

function windowsAbove(scores: FloatTensor, shifts: FloatTensor, scale: number) {
  const [, , rows, columns] = dimensions(scores.shape, 4)
  const plane = rows * columns
  const windows: (Candidate & { readonly shift: readonly number[] })[] = []
  for (let i = 0; i < plane; i++) {
    // Plane 0 is the score of there being no face.
    const score = defined(scores.data[plane + i])
    if (score < MIN_SCORES[0]) continue
    const [x, y] = [STRIDE * (i % columns), STRIDE * Math.floor(i / columns)]
    const place = (pixel: number) => Math.floor(Math.fround(pixel / scale))
    const box = { left: place(x + 1), top: place(y + 1), right: place(x + WINDOW), bottom: place(y + WINDOW) }
    windows.push({ box, score, shift: [0, 1, 2, 3].map((k) => defined(shifts.data[k * plane + i])) })
  }
  return windows
}

async function refine(network: OnnxNetwork, image: RgbImage, candidates: readonly Candidate[]): Promise<Candidate[]> {
  const seen = await look(network, image, candidates, 24)
  const kept = seen.filter(({ score }) => score > MIN_SCORES[1])
  return without(kept, 0.7).map(({ box, score, outputs }) => ({ score, box: regressed(box, outputs[0] ?? []) }))
}

async function finish(network: OnnxNetwork, image: RgbImage, candidates: readonly Candidate[]): Promise<Face[]> {
  const seen = await look(network, image, candidates, 48)
  const faces = seen
    .filter(({ score }) => score > MIN_SCORES[2])
    .map(({ box, score, outputs }): Face => {
      const [shift = [], places = []] = outputs
      const [width, height] = [box.right - box.left + 1, box.bottom - box.top + 1]
      const point = (k: number): KeyPoint => ({
        x: width * defined(places[k]) + box.left - 1,
        y: height * defined(places[k + 5]) + box.top - 1,
      })
      return { box: regressed(box, shift), keyPoints: [point(0), point(1), point(2), point(3), point(4)], score }
    })
  return suppressOverlaps(faces, 0.7, overlapOf.smaller)
}

interface Seen extends Candidate {
  /** What the network gives after the score, a row each. */
  readonly outputs: readonly (readonly number[])[]
}

/** A network's verdict on what is in each box, shrunk to its side; boxes outside the picture are dropped. */
async function look(
  network: OnnxNetwork,
  image: RgbImage,
  candidates: readonly Candidate[],
  side: number,
): Promise<Seen[]> {
  const inside = candidates
    .map((candidate) => ({ candidate, region: insideOf(image, candidate.box) }))
    .filter(({ region }) => region.right > region.left && region.bottom > region.top)
  const seen: Seen[] = []
  for (let start = 0; start < inside.length; start += BATCH) {
    const batch = inside.slice(start, start + BATCH)
    const x = float32([batch.length, 3, side, side])
    for (const [i, { region }] of batch.entries()) {
      x.data.set(averagePool(image, region, { width: side, height: side }), i * 3 * side * side)
    }
    const [scores, ...others] = await network.run(x)
    for (const [i, { candidate }] of batch.entries()) {
      const score = defined(scores?.data[i * 2 + 1])
      const outputs = others.map(({ data, shape }) => {
        const length = defined(shape[1])
        return [...data.subarray(i * length, (i + 1) * length)]
      })
      seen.push({ box: candidate.box, score, outputs })
    }
  }
  return seen
}

/** Whole pixels, counted from one as in the original, that lie in the picture. */
function insideOf({ width, height }: RgbImage, { left, top, right, bottom }: Box): Region {
  return {
    left: Math.max(Math.trunc(left), 1) - 1,
    top: Math.max(Math.trunc(top), 1) - 1,
    right: Math.min(Math.trunc(right), width),
    bottom: Math.min(Math.trunc(bottom), height),
  }
}

/** The square of the longer side around the same middle. */
function squared({ box, score }: Candidate): Candidate {
  const [width, height] = [box.right - box.left, box.bottom - box.top]
  const side = Math.max(width, height)
  const [left, top] = [box.left + width * 0.5 - side * 0.5, box.top + height * 0.5 - side * 0.5]
  return { score, box: { left, top, right: left + side, bottom: top + side } }
}

function regressed(box: Box, shift: readonly number[]): Box {
  return moved(box, shift, box.right - box.left + 1, box.bottom - box.top + 1)
}

/** A box whose sides move by shares of its size. */
function moved({ left, top, right, bottom }: Box, shift: readonly number[], width: number, height: number): Box {
  const [dLeft = 0, dTop = 0, dRight = 0, dBottom = 0] = shift
  return {
    left: left + dLeft * width,
    top: top + dTop * height,
    right: right + dRight * width,
    bottom: bottom + dBottom * height,
  }
}

function without<C extends Candidate>(candidates: readonly C[], threshold: number): C[] {
  return suppressOverlaps(candidates, threshold, overlapOf.areas)
}
