import { Graph, type Value } from '../graph/graph.ts'
import { sub } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { clipVisionHiddenStates, imageEmbeds } from './clip-vision.ts'
import type { ClipVisionConfig } from './clip-vision-config.ts'

/** The class has these built in. */
const CONCEPTS = 17
const SPECIAL_CARE_CONCEPTS = 3

/** Path segments of published files, where the vision model is nested twice, to those of transformers 5.6 and later. */
export const SAFETY_CHECKER_RENAMES: Readonly<Record<string, string>> = { 'vision_model.vision_model': 'vision_model' }

/**
 * diffusers' StableDiffusionSafetyChecker (pipelines/stable_diffusion/safety_checker.py) without the decision: `pixel_values`
 * [B, 3, imageSize, imageSize] → `special_care_scores` [B, 3] and `concept_scores` [B, 17], each the cosine between picture
 * and concept less the concept's threshold, in float32. See `isFlagged`.
 */
export function buildSafetyCheckerGraph(config: ClipVisionConfig, options: { readonly batch: number }): Graph {
  const graph = new Graph('safety_checker')
  const root = new Scope(graph)
  const pixels = graph.input('pixel_values', 'float32', [options.batch, 3, config.imageSize, config.imageSize])
  const states = clipVisionHiddenStates(root.child('vision_model'), config, pixels, config.layers)
  const picture = l2Normalize(imageEmbeds(root, config, defined(states.at(-1))))
  const scores = (name: string, count: number) => {
    const concepts = l2Normalize(root.weight(name, [count, config.projectionSize]))
    return sub(cosines(picture, concepts), root.weight(`${name}_weights`, [count]))
  }
  graph.output('special_care_scores', scores('special_care_embeds', SPECIAL_CARE_CONCEPTS))
  graph.output('concept_scores', scores('concept_embeds', CONCEPTS))
  return graph
}

const SPECIAL_CARE_ADJUSTMENT = 0.01

/**
 * Whether StableDiffusionSafetyChecker flags the picture with these scores: one special care concept that is met makes it
 * stricter towards all the concepts after it.
 */
export function isFlagged(specialCareScores: Float32Array, conceptScores: Float32Array): boolean {
  let adjustment = 0
  for (const score of specialCareScores) {
    if (roundsAboveZero(score, adjustment)) adjustment = SPECIAL_CARE_ADJUSTMENT
  }
  return conceptScores.some((score) => roundsAboveZero(score, adjustment))
}

/**
 * `round(score + adjustment, 3) > 0` of NumPy float32 scalars, which is what diffusers computes. NumPy multiplies by 1000, rounds
 * halves to even and divides, all in float32; Python's own `round` goes by the decimal value and would make 0.001 of 0.0005.
 */
function roundsAboveZero(score: number, adjustment: number): boolean {
  return Math.fround(Math.fround(score + Math.fround(adjustment)) * 1000) > 0.5
}

/** Rows of length one. */
function l2Normalize(x: Value): Value {
  return x.graph.node('', { opType: 'LpNormalization', inputs: [x], output: x, attributes: { axis: 1, p: 2 } })
}

/** [B, C] and [K, C] of unit rows → [B, K]. */
function cosines(a: Value, b: Value): Value {
  const shape = [defined(a.shape[0]), defined(b.shape[0])]
  return a.graph.node('', {
    opType: 'Gemm',
    inputs: [a, b],
    output: { dtype: 'float32', shape },
    attributes: { transB: 1 },
  })
}
