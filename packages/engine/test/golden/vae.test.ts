import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readSafetensors, readTensor, writeSafetensors } from '../../src/formats/safetensors.ts'
import {
  AUTOENCODER_RENAMES,
  buildDecoderGraph,
  buildEncoderGraph,
  scaleLatents,
} from '../../src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig } from '../../src/models/autoencoder-kl-config.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import type { FloatTensor } from '../../src/tensor/tensor.ts'
import { DATA, ModelRunner, readCase, readConfig, shapeOf } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

async function openCase(name: string) {
  const { tensors, weights, tolerance } = await readCase(name)
  const config = parseAutoencoderConfig(await readConfig(weights))
  const [batch, , height, width] = shapeOf(tensors, 'encoder_image')
  const size = { batch, height, width }
  const graphs = { decoder: buildDecoderGraph(config, size), encoder: buildEncoderGraph(config, size) }
  return { tensors, weights, tolerance, config, ...graphs }
}

const CASES = ['vae-sd15', 'vae-sd15-batch-2', 'vae-options']

test.each(CASES)('%s decodes like AutoencoderKL', async (name) => {
  const { tensors, weights, tolerance, decoder, encoder } = await openCase(name)
  const { image } = await runner.run(decoder, await runner.weights(weights, [decoder, encoder]), tensors)
  expect(relativeError(image, tensors.get('expected.image'))).toBeLessThan(tolerance)
})

test.each(CASES)('%s encodes like AutoencoderKL', async (name) => {
  const { tensors, weights, tolerance, config, decoder, encoder } = await openCase(name)
  const image = new Map([['image', tensors.get('encoder_image') as FloatTensor]])
  const { mean, logvar } = await runner.run(encoder, await runner.weights(weights, [decoder, encoder]), image)
  expect(relativeError(mean, tensors.get('expected.mean'))).toBeLessThan(tolerance)
  expect(relativeError(logvar, tensors.get('expected.logvar'))).toBeLessThan(tolerance)
  const scaled = scaleLatents(config, tensors.get('encoder_sample') as FloatTensor)
  expect(relativeError(scaled, tensors.get('expected.scaled_sample'))).toBeLessThan(1e-7)
})

test('a checkpoint with the attention keys of old diffusers decodes to the same picture', async () => {
  const { tensors, weights, tolerance, decoder, encoder } = await openCase('vae-sd15')
  const folder = await mkdtemp(join(tmpdir(), 'legacy-vae-'))
  const path = join(folder, 'legacy.safetensors')
  await writeSafetensors(path, await withLegacyKeys(join(DATA, weights, 'diffusion_pytorch_model.safetensors')))
  const legacy = await runner.weightFile(path, [decoder, encoder], AUTOENCODER_RENAMES)
  const { image } = await runner.run(decoder, legacy, tensors)
  await rm(folder, { recursive: true })
  expect(relativeError(image, tensors.get('expected.image'))).toBeLessThan(tolerance)
})

/** Old names, and the 1×1 convolutions that stood for linear layers. */
async function withLegacyKeys(path: string): Promise<Record<string, FloatTensor>> {
  const file = await readSafetensors(path)
  const legacy: Record<string, FloatTensor> = {}
  for (const key of file.tensors.keys()) {
    const renamed = Object.entries(AUTOENCODER_RENAMES).reduce((k, [old, now]) => k.replace(`${now}.`, `${old}.`), key)
    const tensor = await readTensor(file, key)
    const isLinear = renamed !== key && key.endsWith('weight')
    legacy[renamed] = isLinear ? { ...tensor, shape: [...tensor.shape, 1, 1] } : tensor
  }
  if (!('decoder.mid_block.attentions.0.proj_attn.weight' in legacy)) throw new Error('nothing was renamed')
  return legacy
}
