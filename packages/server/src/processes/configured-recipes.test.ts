import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../config/config.ts'
import { createProcessLog } from '../log/process-log.ts'
import { configuredRecipes } from './configured-recipes.ts'
import { startServer } from './server-process.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-recipes-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.each([
  ['{', /must be a JSON file/],
  ['{"fal-ai/controlnet-ip-adapter": {"strength": 2}}', /fal-ai\/controlnet-ip-adapter\.strength: Too big/],
  ['{"fal-ai/controlnet-ip-adapter": {"step": 2}}', /fal-ai\/controlnet-ip-adapter: Unrecognized key: "step"/],
  ['{"controlnet-ip-adapter": {}}', /recipes\.json: Unrecognized key: "controlnet-ip-adapter"/],
])('%s is told at the start, before a runner dies of it', async (text, message) => {
  const recipesFile = join(folder, 'recipes.json')
  await writeFile(recipesFile, text)
  const config = { ...readConfig({ dataFolder: join(folder, 'data'), port: 0 }, {}), recipesFile }
  await expect(startServer(config, createProcessLog('silent'))).rejects.toThrow(message)
  await expect(configuredRecipes({ recipesFile })).rejects.toBeInstanceOf(ConfigError)
})

test('a file that is not there is named', async () => {
  const recipesFile = join(folder, 'none.json')
  await expect(configuredRecipes({ recipesFile })).rejects.toThrow(`DARKROOM_RECIPES: ${recipesFile}`)
})
