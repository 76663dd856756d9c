import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import { clipPixelValuesOptions, pixelValues, vitPixelValuesOptions } from '../../src/image/pixel-values.ts'
import type { RgbImage } from '../../src/image/rgb-image.ts'
import { buildImageEncoderGraph, CLIP_VISION_RENAMES, type ImageEncoderOutput } from '../../src/models/clip-vision.ts'
import { parseClipVisionConfig } from '../../src/models/clip-vision-config.ts'
import {
  buildSafetyCheckerGraph,
  isFlagged,
  SAFETY_CHECKER_RENAMES,
} from '../../src/models/stable-diffusion-safety-checker.ts'
import { buildVitGraph, VIT_RENAMES } from '../../src/models/vit.ts'
import { parseVitConfig } from '../../src/models/vit-config.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { readImageProcessor } from '../../src/pipelines/image-processor.ts'
import { loadSafetyChecker, probability } from '../../src/pipelines/safety-checker.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { concatenate, type FloatTensor } from '../../src/tensor/tensor.ts'
import { DATA, ModelRunner, readConfig } from './model-case.ts'
import { noiseImage } from './noise-image.ts'

interface Picture {
  readonly kind: 'noise' | 'gradient' | 'flat'
  readonly width: number
  readonly height: number
  readonly colour?: readonly number[]
}

interface ConceptResults {
  readonly special_care_scores: readonly number[][]
  readonly concept_scores: readonly number[][]
  readonly flags: readonly boolean[]
}

/** Written by scripts/golden/safety.py. */
interface Report {
  readonly tolerance: number
  readonly pictures: readonly Picture[]
  readonly v1: ConceptResults
  readonly base: ConceptResults
  readonly v2: { readonly probabilities: readonly number[]; readonly flags: readonly boolean[] }
  readonly pixel_values: { readonly clip: readonly string[]; readonly vit: readonly string[] }
  readonly rounding_flags: readonly number[]
}

const report: Report = JSON.parse(await readFile(join(DATA, 'safety', 'safety.json'), 'utf8'))
const tensors = await readSafetensors(join(DATA, 'safety', 'safety.safetensors'))
const pictures = report.pictures.map(draw)
const runner = new ModelRunner()
const engine = openEngine({ threads: 1 })
afterAll(async () => {
  await runner.dispose()
  await engine.dispose()
})

function draw({ kind, width, height, colour }: Picture): RgbImage {
  if (kind === 'noise') return noiseImage(width, height)
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)]
    const gradient = [(x * 255) / (width - 1), (y * 255) / (height - 1), (x * 7 + y * 13) % 256]
    data.set((colour ?? gradient).map(Math.floor), i * 3)
  }
  return { width, height, data }
}

test.each([
  ['clip', clipPixelValuesOptions(224)],
  ['vit', vitPixelValuesOptions(224)],
] as const)('pictures become the very floats of transformers’ %s processor', (name, options) => {
  const digests = pictures.map((picture) => {
    const { data } = pixelValues(picture, options)
    return createHash('sha256').update(new Uint8Array(data.buffer)).digest('hex')
  })
  expect(digests).toEqual(report.pixel_values[name])
})

test.each([
  ['tiny-safety-v1', 'tiny-safety-v1', report.v1],
  ['tiny-safety-base/safety_checker', 'tiny-safety-base/feature_extractor', report.base],
] as const)('%s scores pictures as StableDiffusionSafetyChecker does', async (name, processorFolder, expected) => {
  const folder = `checkpoints/${name}`
  const config = parseClipVisionConfig(await readConfig(folder))
  const graph = buildSafetyCheckerGraph(config, { batch: pictures.length })
  const defaults = clipPixelValuesOptions(config.imageSize)
  const processor = await readImageProcessor([join(DATA, 'checkpoints', processorFolder)], defaults)
  const feeds = new Map([['pixel_values', concatenate(pictures.map((picture) => pixelValues(picture, processor)))]])
  const actual = await runner.run(graph, await runner.weights(folder, [graph], SAFETY_CHECKER_RENAMES), feeds)
  expect(difference(actual.special_care_scores, expected.special_care_scores.flat())).toBeLessThan(report.tolerance)
  expect(difference(actual.concept_scores, expected.concept_scores.flat())).toBeLessThan(report.tolerance)
})

test.each([
  ['tiny-safety-v1', 'v1', report.v1.flags],
  ['tiny-safety-base', 'v1', report.base.flags],
  ['tiny-safety-v2', 'v2', report.v2.flags],
  ['tiny-safety-v2-new', 'v2', report.v2.flags],
] as const)('%s flags what the Python class flags', async (name, version, flags) => {
  const checker = await loadSafetyChecker(engine, join(DATA, 'checkpoints', name))
  expect(checker.version).toBe(version)
  expect(await checker.check(pictures)).toEqual(flags)
})

test('tiny-safety-v2 gives the probabilities of ViTForImageClassification', async () => {
  const folder = 'checkpoints/tiny-safety-v2'
  const config = parseVitConfig(await readConfig(folder))
  const graph = buildVitGraph(config, { batch: pictures.length })
  const feeds = new Map([['pixel_values', concatenate(pictures.map((p) => pixelValues(p, vitPixelValuesOptions(32))))]])
  const { logits } = await runner.run(graph, await runner.weights(folder, [graph], VIT_RENAMES), feeds)
  const nsfw = config.labels.indexOf('nsfw')
  const labels = config.labels.length
  const actual = pictures.map((_, row) =>
    probability((logits as FloatTensor).data.slice(row * labels, (row + 1) * labels), nsfw),
  )
  const errors = actual.map((value, row) => Math.abs(value - (report.v2.probabilities[row] as number)))
  expect(Math.max(...errors)).toBeLessThan(report.tolerance)
})

test('scores within a few ulp of an edge round as in diffusers', async () => {
  const read = async (name: string) => (await readTensor(tensors, `rounding.${name}`)).data
  const [special, concepts] = [await read('special_care_cosines'), await read('concept_cosines')]
  const [specialThresholds, thresholds] = [await read('special_care_thresholds'), await read('concept_thresholds')]
  const scores = (cosines: Float32Array, limits: Float32Array, row: number) =>
    limits.map((limit, i) => (cosines[row * limits.length + i] as number) - limit)
  const flags = report.rounding_flags.map((_, row) =>
    Number(isFlagged(scores(special, specialThresholds, row), scores(concepts, thresholds, row))),
  )
  expect(flags).toEqual(report.rounding_flags)
})

const CLIP_OUTPUTS: ImageEncoderOutput[] = ['image_embeds', 'pooler_output', 'hidden_states.0', 'hidden_states.3']

test.each([
  ['clip-vision', [...CLIP_OUTPUTS, 'hidden_states.-2'], {}],
  ['clip-vision-new', ['pooler_output', 'hidden_states.1'], CLIP_VISION_RENAMES],
] as [string, ImageEncoderOutput[], Record<string, string>][])(
  'safety/%s gives the outputs of CLIPVisionModelWithProjection',
  async (name, outputs, renames) => {
    const config = parseClipVisionConfig(await readConfig(`safety/${name}`))
    const graph = buildImageEncoderGraph(config, { batch: 2, outputs })
    const feeds = new Map([['pixel_values', await readTensor(tensors, 'clip-vision.pixel_values')]])
    const actual = await runner.run(graph, await runner.weights(`safety/${name}`, [graph], renames), feeds)
    for (const output of outputs) {
      const expected = await readTensor(tensors, `clip-vision.${output.replace('-2', '2')}`)
      expect(relativeError(actual[output], expected), output).toBeLessThan(report.tolerance)
    }
  },
)

test('an image encoder for an early hidden state leaves the later layers and the projection out', async () => {
  const config = parseClipVisionConfig(await readConfig('safety/clip-vision'))
  const keys = [...buildImageEncoderGraph(config, { batch: 1, outputs: ['hidden_states.-2'] }).weights.keys()]
  expect(keys.filter((key) => /layers\.2|post_layernorm|projection/.test(key))).toEqual([])
  expect(() => buildImageEncoderGraph(config, { batch: 1, outputs: ['hidden_states.4'] })).toThrow(
    /hidden states 0 … 3/,
  )
})

test('the two forms of the classifier’s keys are one', async () => {
  const open = (name: string) =>
    openWeightFile('vit', join(DATA, 'checkpoints', name, 'model.safetensors'), VIT_RENAMES)
  const [published, inMemory] = await Promise.all([open('tiny-safety-v2'), open('tiny-safety-v2-new')])
  expect([...inMemory.tensors.keys()].sort()).toEqual([...published.tensors.keys()].sort())
  expect(inMemory.files[0]?.tensors.has('vit.layers.0.attention.q_proj.weight')).toBe(true)
})

function difference(actual: FloatTensor | undefined, expected: readonly number[]): number {
  if (actual?.data.length !== expected.length) return Number.POSITIVE_INFINITY
  return Math.max(...expected.map((value, i) => Math.abs((actual.data[i] as number) - value)))
}
