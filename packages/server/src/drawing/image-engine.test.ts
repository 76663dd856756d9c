import { join } from 'node:path'
import { openEngine } from '@darkroom/engine'
import { afterAll, expect, test } from 'vitest'
import { localModels } from '../../test/fakes/local-models.ts'
import { ModelRegistry } from '../models/model-registry.ts'
import { ImageEngine } from './image-engine.ts'

const CHECKPOINTS = join(import.meta.dirname, '../../../engine/test/golden/data/checkpoints')
const engine = openEngine({ threads: 1 })
const registry = new ModelRegistry({ modelFolders: [], hubCaches: [], bundledFolder: CHECKPOINTS })
const { store, close } = localModels(CHECKPOINTS)

afterAll(async () => {
  await engine.dispose()
  await close()
})

test('keeps the models that were used last and says which they are', async () => {
  const images = new ImageEngine({ engine, registry, store, modelLimit: 2 })
  const log: string[] = []
  const load = (name: string) =>
    images.model({ folder: join(CHECKPOINTS, name), label: name }, (line) => log.push(line))
  const first = await load('tiny-sd15')
  await load('tiny-sdxl')
  expect(await load('tiny-sd15')).toBe(first)
  expect(images.warm).toEqual(['tiny-sdxl', 'tiny-sd15'])
  await load('tiny-lcm')
  expect(images.warm).toEqual(['tiny-sd15', 'tiny-lcm'])
  expect(await load('tiny-sd15')).toBe(first)
  expect(log).toEqual(['Loading tiny-sd15', 'Loading tiny-sdxl', 'Loading tiny-lcm'])
})

test('a model that cannot be loaded is looked for again', async () => {
  const images = new ImageEngine({ engine, registry, store })
  const load = () => images.model({ folder: join(CHECKPOINTS, 'none'), label: 'none' }, () => {})
  await expect(load()).rejects.toThrow('there is no folder')
  expect(images.warm).toEqual([])
})
