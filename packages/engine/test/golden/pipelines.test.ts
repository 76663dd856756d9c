import { afterAll, describe, expect, it } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { deviation, readPipelineCases, runPipelineCase } from './pipeline-cases.ts'

const DATA = new URL('data/', import.meta.url).pathname

describe('pipelines against diffusers', async () => {
  const { cases, expected } = await readPipelineCases(`${DATA}pipelines`)
  const engine = openEngine({ threads: 1 })
  const models = new Map<string, Promise<StableDiffusion>>()
  const load = (checkpoint: string) => {
    const known = models.get(checkpoint)
    if (known) return known
    const loaded = loadStableDiffusion(engine, `${DATA}checkpoints/${checkpoint}`)
    models.set(checkpoint, loaded)
    return loaded
  }

  afterAll(() => engine.dispose())

  // float32 sums in another order differ by about 1e-6 an operation; 1e-4 leaves room for thirty steps of them.
  it.each(cases)('$name', async (request) => {
    const images = await runPipelineCase(await load(request.checkpoint), request)
    const found = deviation(images, await expected(request.name))
    expect(found.latents).toBeLessThan(1e-4)
    expect(found.largestPixel).toBeLessThanOrEqual(1)
    expect(found.pixels).toBeLessThanOrEqual(0.001)
  })
})
