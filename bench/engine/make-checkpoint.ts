/**
 * Writes a diffusers checkpoint of a published architecture with random float32 weights. The sizes are real, the pictures are not.
 *
 * Usage: npx tsx bench/engine/make-checkpoint.ts sd15|sdxl FOLDER
 */
import { cp, mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { planSafetensors, writeBytes } from '../../packages/engine/src/formats/safetensors.ts'
import type { Graph } from '../../packages/engine/src/graph/graph.ts'
import { buildDecoderGraph, buildEncoderGraph } from '../../packages/engine/src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig } from '../../packages/engine/src/models/autoencoder-kl-config.ts'
import { buildTextEncoderGraph } from '../../packages/engine/src/models/clip-text.ts'
import { parseClipTextConfig } from '../../packages/engine/src/models/clip-text-config.ts'
import { buildUNetGraph } from '../../packages/engine/src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../packages/engine/src/models/unet-2d-condition-config.ts'
import { elementCount, type Shape } from '../../packages/engine/src/tensor/tensor.ts'
import { ARCHITECTURES } from './architectures.ts'

/** The graphs that together use every weight of a component. */
function graphsOf(name: string, config: Readonly<Record<string, unknown>>): Graph[] {
  if (name === 'unet') return [buildUNetGraph(parseUNetConfig(config), { batch: 1, height: 8, width: 8 })]
  if (name === 'vae') {
    const [parsed, size] = [parseAutoencoderConfig(config), { batch: 1, height: 64, width: 64 }]
    return [buildEncoderGraph(parsed, size), buildDecoderGraph(parsed, size)]
  }
  if (!name.startsWith('text_encoder')) return []
  const projected = String(config.architectures).includes('Projection')
  const outputs = projected ? (['text_embeds'] as const) : (['last_hidden_state'] as const)
  return [buildTextEncoderGraph(parseClipTextConfig(config), { batch: 1, tokens: 77, outputs })]
}

let state = 1

/** Uniform in ±1/√fanIn, as torch initialises layers; gains of norms are 1, biases 0. */
function fill(values: Float32Array, key: string, shape: Shape): void {
  if (shape.length === 1) {
    values.fill(/norm\w*\.weight$/.test(key) ? 1 : 0)
    return
  }
  const bound = 1 / Math.sqrt(elementCount(shape.slice(1)))
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    values[i] = state * (bound / 2 ** 31)
  }
}

async function writeComponent(folder: string, name: string, graphs: readonly Graph[]): Promise<void> {
  const weights = new Map(graphs.flatMap((graph) => [...graph.weights]))
  const plan = planSafetensors(weights, { format: 'pt' })
  const file = name.startsWith('text_encoder') ? 'model.safetensors' : 'diffusion_pytorch_model.safetensors'
  const handle = await open(join(folder, file), 'w')
  await writeBytes(handle, plan.header)
  for (const [key, { shape }] of weights) {
    const values = new Float32Array(elementCount(shape))
    fill(values, key, shape)
    await writeBytes(handle, values)
  }
  await handle.close()
  console.log(`${name}: ${weights.size} tensors, ${(plan.size / 1e9).toFixed(2)} GB`)
}

const [name = '', folder = ''] = process.argv.slice(2)
const architecture = ARCHITECTURES[name]
if (!architecture || !folder)
  throw new Error(`usage: make-checkpoint.ts ${Object.keys(ARCHITECTURES).join('|')} FOLDER`)

const modelIndex: Record<string, unknown> = { _class_name: architecture.className, _diffusers_version: '0.42.1' }
for (const [component, [library, config]] of Object.entries(architecture.components)) {
  const place = join(folder, component)
  await mkdir(place, { recursive: true })
  const isScheduler = component === 'scheduler'
  await writeFile(join(place, isScheduler ? 'scheduler_config.json' : 'config.json'), JSON.stringify(config, null, 2))
  const graphs = graphsOf(component, config)
  if (graphs.length > 0) await writeComponent(place, component, graphs)
  modelIndex[component] = [library, config._class_name ?? String(config.architectures)]
}
for (const tokenizer of 'text_encoder_2' in architecture.components ? ['tokenizer', 'tokenizer_2'] : ['tokenizer']) {
  const demo = new URL('../../models/pinhole-512/tokenizer', import.meta.url)
  await cp(demo, join(folder, tokenizer), { recursive: true })
  modelIndex[tokenizer] = ['transformers', 'CLIPTokenizer']
}
await writeFile(join(folder, 'model_index.json'), JSON.stringify(modelIndex, null, 2))
