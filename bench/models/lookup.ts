/** Looking up what is here already: `npx tsx bench/models/lookup.ts`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openModelStore } from '../../packages/server/src/models/open-model-store.ts'
import type { WeightsKind } from '../../packages/server/src/models/weights-kind.ts'
import { FakeHub } from '../../packages/server/test/fakes/fake-hub.ts'
import { storeSettings } from '../../packages/server/test/fakes/local-models.ts'
import { safetensorsBytes } from '../../packages/server/test/fakes/sample-weights.ts'
import { percentile } from '../statistics.ts'

const RUNS = 500
const hub = await new FakeHub().listen()
const folder = mkdtempSync(join(tmpdir(), 'darkroom-lookup-'))
const keys = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`lora_unet_${i}.lora_down.weight`, [1]]))
const components = ['text_encoder', 'text_encoder_2', 'tokenizer', 'tokenizer_2', 'unet', 'vae', 'scheduler']
const model = Object.fromEntries(
  components.flatMap((name) => [
    [`${name}/config.json`, '{}'],
    [`${name}/${name === 'unet' || name === 'vae' ? 'diffusion_pytorch_model' : 'model'}.safetensors`, name],
  ]),
)
const index = Object.fromEntries(components.map((name) => [name, ['diffusers', name]]))
hub.add('bench/sdxl', { ...model, 'model_index.json': JSON.stringify(index) })
hub.add('bench/lora', { 'pytorch_lora_weights.safetensors': safetensorsBytes(keys(2000)) })
const { store, close } = openModelStore(storeSettings(folder, hub.endpoint))

async function measure(reference: string, kind: WeightsKind): Promise<void> {
  const find = () => store.find(reference, { kind, signal: new AbortController().signal, log: () => {} })
  await find()
  const times: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const startedAt = performance.now()
    await find()
    times.push(performance.now() - startedAt)
  }
  const [middle, high] = [percentile(times, 0.5), percentile(times, 0.95)].map((time) => time.toFixed(2))
  console.log(`${reference.padEnd(48)} ${middle} ms, 95 % within ${high} ms`)
}

await measure('bench/sdxl', 'base')
await measure('bench/lora', 'lora')
await measure('bench/lora/pytorch_lora_weights.safetensors', 'lora')
await close()
await hub.close()
rmSync(folder, { recursive: true })
