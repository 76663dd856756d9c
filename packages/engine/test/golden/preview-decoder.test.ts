import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts'
import { buildTinyDecoderGraph, parseTinyDecoderConfig, tinyFactor } from '../../src/models/autoencoder-tiny.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { float32 } from '../../src/tensor/tensor.ts'
import { DATA, ModelRunner, readCase, readConfig, shapeOf } from './model-case.ts'

const runner = new ModelRunner()
const engine = openEngine({ threads: 1 })
const scratch = await mkdtemp(join(tmpdir(), 'preview-decoder-'))
afterAll(async () => {
  await runner.dispose()
  await engine.dispose()
  await rm(scratch, { recursive: true })
})

test('decodes like AutoencoderTiny', async () => {
  const { tensors, weights: folder, tolerance } = await readCase('preview-decoder')
  const config = parseTinyDecoderConfig(await readConfig(folder))
  const [batch, , h, w] = shapeOf(tensors, 'latents')
  const factor = tinyFactor(config)
  const graph = buildTinyDecoderGraph(config, { batch, height: h * factor, width: w * factor })
  const opened = await openComponentWeights(folder, join(DATA, folder))
  expect([...graph.weights.keys()].filter((key) => !opened.tensors.has(key))).toEqual([])
  expect([...opened.tensors.keys()].filter((key) => key.startsWith('decoder.') && !graph.weights.has(key))).toEqual([])
  const { image } = await runner.run(graph, await runner.partOf(folder), tensors)
  expect(relativeError(image, tensors.get('expected.image'))).toBeLessThan(tolerance)
})

describe('a checkpoint with a decoder for previews', () => {
  const source = join(DATA, 'checkpoints', 'tiny-sd15')
  const withDecoder = async (name: string, change: Record<string, unknown>) => {
    const folder = join(scratch, name)
    await cp(source, folder, { recursive: true })
    await cp(join(DATA, 'models', 'preview-decoder'), join(folder, 'preview_decoder'), { recursive: true })
    const path = join(folder, 'preview_decoder', 'config.json')
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...change }))
    return folder
  }

  test('brings it along where it fits its autoencoder', async () => {
    const plain = await loadStableDiffusion(engine, source)
    expect(plain.previewDecoder).toBeUndefined()
    const { factor, latentChannels } = plain.vae
    const { previewDecoder } = await loadStableDiffusion(engine, await withDecoder('fits', {}))
    const picture = await previewDecoder?.decode(float32([1, latentChannels, 3, 2]))
    expect(picture?.shape).toEqual([1, 3, 3 * factor, 2 * factor])
  })

  test('is refused where its decoder is another autoencoder’s', async () => {
    const folder = await withDecoder('other', { latent_channels: 16 })
    await expect(loadStableDiffusion(engine, folder)).rejects.toThrow(
      /decoder for previews draws 4 pixels of 16 channels, the autoencoder beside it .*: they do not belong together/,
    )
  })
})
