import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { openEngine } from './engine.ts'
import { loadSafetyChecker } from './safety-checker.ts'

const CHECKPOINTS = join(import.meta.dirname, '../../test/golden/data/checkpoints')
const engine = openEngine({ threads: 1 })
const folders: string[] = []
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-safety-'))
  folders.push(folder)
})

afterAll(async () => {
  await engine.dispose()
  for (const path of folders) await rm(path, { recursive: true, force: true })
})

async function edit(name: string, change: (config: Record<string, unknown>) => void): Promise<void> {
  const path = join(folder, name)
  const config = JSON.parse(await readFile(path, 'utf8'))
  change(config)
  await writeFile(path, JSON.stringify(config))
}

const load = () => loadSafetyChecker(engine, folder)

it('refuses a folder without a model and a model of another kind', async () => {
  await expect(load()).rejects.toThrow('there is no safety_checker in')
  await cp(join(CHECKPOINTS, 'tiny-sd15', 'text_encoder'), folder, { recursive: true })
  await expect(load()).rejects.toThrow(/model_type in config.json must be clip .* or vit .*, found "clip_text_model"/)
})

it('refuses a classifier that does not know what is not safe for work', async () => {
  await cp(join(CHECKPOINTS, 'tiny-safety-v2'), folder, { recursive: true })
  await edit('config.json', (config) => Object.assign(config, { label2id: { cat: 0, dog: 1 } }))
  await expect(load()).rejects.toThrow('its labels are cat, dog, not nsfw')
  await edit('config.json', (config) => Object.assign(config, { label2id: { normal: 0, nsfw: 2 } }))
  await expect(load()).rejects.toThrow('label2id: expected an object of labels and their indices 0, 1, …')
})

it('refuses a preprocessor that makes pictures of another size', async () => {
  await cp(join(CHECKPOINTS, 'tiny-safety-v1'), folder, { recursive: true })
  await edit('preprocessor_config.json', (config) => Object.assign(config, { size: 224, crop_size: 224 }))
  await expect(load()).rejects.toThrow('makes 224x224, but config.json says image_size 42')
  await edit('preprocessor_config.json', (config) => Object.assign(config, { do_center_crop: false }))
  await expect(load()).rejects.toThrow('makes pictures of any proportions, but')
})

it('names what does not fit between config.json and the weights', async () => {
  await cp(join(CHECKPOINTS, 'tiny-safety-v1'), folder, { recursive: true })
  await edit('config.json', (config) => Object.assign(config, { projection_dim: 12 }))
  await expect(load()).rejects.toThrow('visual_projection.weight: expected [12, 32] from config.json, found [16, 32]')
})
