/**
 * Runs every case of a folder written by `pipelines.py --all FOLDER` and prints how far this engine is from diffusers.
 *
 *     npx tsx scripts/golden/compare-pipelines.ts FOLDER
 */
import { openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../packages/engine/src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../packages/engine/src/pipelines/stable-diffusion.ts'
import { deviation, readPipelineCases, runPipelineCase } from '../../packages/engine/test/golden/pipeline-cases.ts'

const folder = process.argv[2]
if (folder === undefined) throw new Error('name the folder that pipelines.py --all wrote')
const checkpoints = new URL('../../packages/engine/test/golden/data/checkpoints/', import.meta.url).pathname
const { cases, expected } = await readPipelineCases(folder)
const engine = openEngine({ threads: 1 })
const models = new Map<string, StableDiffusion>()
const worst = { latents: 0, pixels: 0, largestPixel: 0 }
let failures = 0
for (const request of cases) {
  const model =
    models.get(request.checkpoint) ?? (await loadStableDiffusion(engine, `${checkpoints}${request.checkpoint}`))
  models.set(request.checkpoint, model)
  const found = deviation(await runPipelineCase(model, request), await expected(request.name))
  for (const key of ['latents', 'pixels', 'largestPixel'] as const) worst[key] = Math.max(worst[key], found[key])
  const passed = found.latents < 1e-4 && found.pixels <= 0.001 && found.largestPixel <= 1
  if (!passed) {
    failures++
    console.log(
      `${request.name}: latents ${found.latents.toExponential(1)}, pixels ${found.pixels}, ${found.largestPixel}`,
    )
  }
}
await engine.dispose()
console.log(
  `${cases.length} cases, ${failures} out of tolerance; worst: latents ${worst.latents.toExponential(1)}, ` +
    `differing samples ${(worst.pixels * 100).toFixed(3)} %, by at most ${worst.largestPixel}`,
)
process.exit(failures > 0 ? 1 : 0)
