import { createHash } from 'node:crypto'
import { type Face, type FloatTensor, largestFace, type RgbImage } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { errorPage, fieldError, type WireError } from '../errors/errors.ts'
import { PULL_FACE_PACK } from '../models/vision-models.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'
import type { Vision } from './vision.ts'

const NO_FACE = 'no face was found in the picture; take one that shows a face from the front, well lit'

/** The 422 for a picture without a face. */
export function noFaceError(field: string | readonly (string | number)[]): WireError {
  const type = 'face_detection_error'
  return fieldError(field, type, NO_FACE, { url: errorPage(type) })
}

export interface AnalyzedFace {
  /** The largest face of the picture; absent when there is none. */
  readonly face?: Face
  /** Who it is: [1, 512], as the network gives it, not normalised. */
  readonly embedding?: FloatTensor
}

const REMEMBERED = 64

/** Who is in pictures. Remembered by the picture's content, since realtime callers send the same one again and again. */
export class FaceAnalysis {
  readonly #vision: Vision
  readonly #faces = new LeastRecentlyUsed<AnalyzedFace>(REMEMBERED)

  constructor(vision: Vision) {
    this.#vision = vision
  }

  /**
   * @param networks that a request names; the server's own when absent
   * @throws WireError 422 when no network that tells faces apart is to be had
   */
  async analyze(image: RgbImage, context: HandlerContext, networks?: string): Promise<AnalyzedFace> {
    const { detector, embedder, key: own } = await this.#vision.faceNetworks(context, networks)
    const hash = createHash('sha256').update(`${own} ${image.width}x${image.height} `).update(image.data)
    return this.#faces.get(hash.digest('hex'), async () => {
      const face = largestFace(await detector.detect(image))
      return face ? { face, embedding: await embedder.embed(image, face.keyPoints) } : {}
    })
  }

  /** A line of the log where the detector that is here sees no face, for pictures that are drawn all the same. */
  async noteMissingFace(image: RgbImage, context: HandlerContext): Promise<void> {
    const detector = await this.#vision.faceDetector(context)
    const hash = createHash('sha256').update(`seen ${image.width}x${image.height} `).update(image.data)
    const { face } = await this.#faces.get(hash.digest('hex'), async () => {
      const found = largestFace(await detector.detect(image))
      return found ? { face: found } : {}
    })
    if (!face)
      context.log(`No face was seen in the picture; more are seen, and told apart, after: ${PULL_FACE_PACK}`, 'WARN')
  }
}
