import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ModelRegistry } from '../models/model-registry.ts'
import { clipVocabulary } from './clip-vocabulary.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vocabulary-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function put(path: string): Promise<string> {
  const whole = join(folder, path)
  await mkdir(join(whole, '..'), { recursive: true })
  await writeFile(whole, '')
  return whole
}

test('a file’s vocabulary is that beside it, else that of a published model on this machine', async () => {
  const models = join(folder, 'models')
  const registry = new ModelRegistry({ modelFolders: [models], hubCaches: [], bundledFolder: folder })
  const file = await put('civitai/dream.safetensors')
  expect(await clipVocabulary(registry, file)).toBeUndefined()

  await put('models/openai/clip-vit-large-patch14/vocab.json')
  expect(await clipVocabulary(registry, file)).toBeUndefined()
  await put('models/openai/clip-vit-large-patch14/merges.txt')
  expect(await clipVocabulary(registry, file)).toBe(join(models, 'openai/clip-vit-large-patch14'))
  for (const name of ['vocab.json', 'merges.txt'])
    await put(`models/stabilityai/stable-diffusion-xl-base-1.0/tokenizer/${name}`)
  expect(await clipVocabulary(registry, file)).toBe(join(models, 'stabilityai/stable-diffusion-xl-base-1.0/tokenizer'))

  expect(await clipVocabulary(registry, folder)).toBeUndefined()
  for (const name of ['vocab.json', 'merges.txt']) await put(`civitai/tokenizer/${name}`)
  expect(await clipVocabulary(registry, file)).toBeUndefined()
})
