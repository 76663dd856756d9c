import type { RgbImage } from '../image/rgb-image.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { defined } from '../tensor/defined.ts'
import { type FloatTensor, float32, map } from '../tensor/tensor.ts'
import { alignFace } from './alignment.ts'
import type { FaceKeyPoints } from './face.ts'
import { networkInput } from './network-input.ts'
import { openOnnxNetwork } from './onnx-network.ts'

/** Tells faces apart: near embeddings are one person's. */
export interface FaceEmbedder {
  /** @returns [1, 512], not normalised, as InstantID takes it; FaceID adapters take `normalizeEmbedding` of it */
  embed(image: RgbImage, keyPoints: FaceKeyPoints): Promise<FloatTensor>
}

const DEFAULT_SIDE = 112

const NORMALIZATION = { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] } as const

/**
 * Opens an ArcFace recognition network (arXiv 1801.07698), as insightface publishes it: `glintr100.onnx` of antelopev2,
 * `w600k_r50.onnx` of buffalo_l. Their weights are licensed for non-commercial research only.
 * @throws OnnxFileError when the file is another model
 */
export async function openArcFace(sessions: SessionCache, path: string): Promise<FaceEmbedder> {
  const network = await openOnnxNetwork(sessions, path, 'an ArcFace recognition network', 1)
  return {
    async embed(image, keyPoints) {
      const aligned = alignFace(image, keyPoints, network.width ?? DEFAULT_SIDE)
      const [embedding] = await network.run(networkInput(aligned, NORMALIZATION))
      return defined(embedding)
    },
  }
}

/** An embedding of length one (`normed_embedding` of insightface). */
export function normalizeEmbedding(embedding: FloatTensor): FloatTensor {
  const length = Math.hypot(...embedding.data)
  return length === 0 ? float32(embedding.shape) : map((value) => value / length, embedding)
}
