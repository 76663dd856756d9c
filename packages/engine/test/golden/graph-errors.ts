/** How far results of single graphs are from diffusers', relative to the largest: for the suites of each model, and for those of other arithmetics. */
import { join } from 'node:path'
import { readIPAdapter } from '../../src/adapters/ip-adapter-file.ts'
import { type KeyRenames, openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { attentionLayers } from '../../src/models/attention-layers.ts'
import { buildTextEncoderGraph, eosPositions, type TextEncoderOutput } from '../../src/models/clip-text.ts'
import { parseClipTextConfig } from '../../src/models/clip-text-config.ts'
import { parseControlNetConfig } from '../../src/models/controlnet-config.ts'
import { buildControlImageGraph, buildControlNetGraph, residualName } from '../../src/models/controlnet-model.ts'
import type { ImageProjectionConfig } from '../../src/models/image-projection-config.ts'
import { buildIPAdapterGraph } from '../../src/models/ip-adapter-projections.ts'
import { buildUNetGraph } from '../../src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../src/models/unet-2d-condition-config.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { type FloatTensor, float32, type Tensor } from '../../src/tensor/tensor.ts'
import { DATA, type ModelRunner, readCase, readConfig, shapeOf } from './model-case.ts'

/** Errors of a case by output. */
export interface GraphErrors {
  readonly errors: Readonly<Record<string, number>>
  readonly tolerance: number
}

export async function unetErrors(runner: ModelRunner, name: string): Promise<GraphErrors> {
  const { tensors, weights, tolerance } = await readCase(name)
  const config = parseUNetConfig(await readConfig(weights))
  const [batch, , height, width] = shapeOf(tensors, 'sample')
  const graph = buildUNetGraph(config, { batch, height, width })
  const actual = await runner.run(graph, await runner.weights(weights, [graph]), tensors)
  return { errors: errorsOf(actual, tensors), tolerance }
}

export async function controlNetErrors(runner: ModelRunner, name: string): Promise<GraphErrors> {
  const { tensors, weights: folder, tolerance } = await readCase(`${name}-case`, 'conditioning')
  const config = parseControlNetConfig(await readConfig(folder))
  const [batch, , height, width] = shapeOf(tensors, 'sample')
  const [, , imageHeight, imageWidth] = shapeOf(tensors, 'image')
  const image = buildControlImageGraph(config, imageHeight, imageWidth)
  const graph = buildControlNetGraph(config, { batch, height, width })
  const weights = await runner.weights(folder, [image, graph])
  const { embedding } = await runner.run(image, weights, tensors)
  const feeds = new Map([...tensors, ['embedding', embedding as FloatTensor] as const])
  const actual = await runner.run(graph, weights, feeds)
  const expected = [...tensors.keys()].filter((key) => key.startsWith('expected.'))
  const names = expected.map((_, i) => residualName(i))
  if (String(names) !== String(Object.keys(actual))) throw new Error(`${name} has other residuals than ${names}`)
  return { errors: errorsOf(actual, tensors), tolerance }
}

export async function ipAdapterErrors(
  runner: ModelRunner,
  name: string,
): Promise<GraphErrors & Pick<ImageProjectionConfig, 'kind'>> {
  const { tensors, weights, tolerance } = await readCase(`${name}-case`, 'conditioning')
  const layers = attentionLayers(parseUNetConfig(await readConfig('checkpoints/tiny-sd15/unet')))
  const path = join(DATA, weights)
  const { projection } = await readIPAdapter(await openWeightFile('ip_adapter', path), layers)
  const [batch] = shapeOf(tensors, 'features')
  const sequence = tensors.get('face_states') ?? tensors.get('features')
  const graph = buildIPAdapterGraph(projection, layers, {
    batch,
    length: sequence?.shape.length === 3 ? (sequence.shape[1] as number) : 1,
    shortcut: name === 'face-id-plus-v2',
  })
  const actual = await runner.run(graph, await runner.weightFile(path, [graph]), tensors)
  return { errors: errorsOf(actual, tensors), tolerance, kind: projection.kind }
}

/** A text encoder's case: what it is fed, and what it is made of. */
export async function openTextEncoderCase(name: string) {
  const { tensors, weights, tolerance } = await readCase(name)
  const config = parseClipTextConfig(await readConfig(weights))
  const ids = tensors.get('input_ids') as Tensor<'float32'>
  const [batch, tokens] = ids.shape as [number, number]
  const rows = Array.from({ length: batch }, (_, row) => Array.from(ids.data.slice(row * tokens, (row + 1) * tokens)))
  const positions = float32([batch], Float32Array.from(eosPositions(config, rows)))
  const feeds = new Map<string, Tensor>([
    ['input_ids', ids],
    ['eos_positions', positions],
  ])
  return { tensors, weights, tolerance, config, batch, tokens, feeds }
}

export async function textEncoderErrors(
  runner: ModelRunner,
  name: string,
  renames: KeyRenames = {},
): Promise<GraphErrors> {
  const { tensors, weights, tolerance, config, batch, tokens, feeds } = await openTextEncoderCase(name)
  const expected = [...tensors.keys()].filter((key) => key.startsWith('expected.'))
  const outputs = expected.map((key) => key.slice('expected.'.length) as TextEncoderOutput)
  const graph = buildTextEncoderGraph(config, { batch, tokens, outputs })
  const actual = await runner.run(graph, await runner.weights(weights, [graph], renames), feeds)
  return { errors: errorsOf(actual, tensors), tolerance }
}

/** Of every `expected.` tensor of a case. @throws Error when there is none, or a graph gives others */
function errorsOf(
  actual: Readonly<Record<string, FloatTensor>>,
  tensors: ReadonlyMap<string, FloatTensor>,
): Record<string, number> {
  const expected = [...tensors].flatMap(([key, tensor]) =>
    key.startsWith('expected.') ? [[key.slice('expected.'.length), tensor] as const] : [],
  )
  const names = expected.map(([name]) => name).sort()
  if (names.length === 0 || String(names) !== String(Object.keys(actual).sort())) {
    throw new Error(`the graph gives ${Object.keys(actual)} where ${names} are expected`)
  }
  return Object.fromEntries(expected.map(([name, tensor]) => [name, relativeError(actual[name], tensor)]))
}

/** Names of the outputs that are further off than the case allows. */
export function outputsOutside({ errors, tolerance }: GraphErrors): string[] {
  return Object.entries(errors).flatMap(([name, error]) => (error < tolerance ? [] : [`${name}: ${error}`]))
}
