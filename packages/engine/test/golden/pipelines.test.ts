import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { deviation, type PipelineCase, readPipelineCases, runPipelineCase, widenToInpaint } from './pipeline-cases.ts'

const DATA = new URL('data/', import.meta.url).pathname

describe('pipelines against diffusers', async () => {
  const { cases, expected } = await readPipelineCases(`${DATA}pipelines`)
  const engine = openEngine({ threads: 1 })
  const models = new Map<string, Promise<StableDiffusion>>()
  const scratch = await mkdtemp(join(tmpdir(), 'pipelines-'))
  const load = ({ checkpoint, inpaint }: PipelineCase) => {
    const name = inpaint === 'trained' ? `${checkpoint}-inpainting` : checkpoint
    const known = models.get(name)
    if (known) return known
    const folder = `${DATA}checkpoints/${checkpoint}`
    const loaded = loadOne(inpaint === 'trained' ? widenToInpaint(folder, join(scratch, name)) : folder)
    models.set(name, loaded)
    return loaded
  }
  const loadOne = async (folder: string | Promise<string>) => loadStableDiffusion(engine, await folder)

  afterAll(async () => {
    await engine.dispose()
    await rm(scratch, { recursive: true })
  })

  // float32 sums in another order differ by about 1e-6 an operation; 1e-4 leaves room for thirty steps of them.
  it.each(cases)('$name', async (request) => {
    const images = await runPipelineCase(await load(request), request)
    const found = deviation(images, await expected(request.name))
    expect(found.latents).toBeLessThan(1e-4)
    expect(found.largestPixel).toBeLessThanOrEqual(1)
    expect(found.pixels).toBeLessThanOrEqual(0.001)
  })
})
