import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@darkroom/engine'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { ModelRegistry } from '../models/model-registry.ts'
import { bundled } from '../processes/installation.ts'
import { PromptExpansion } from './prompt-expansion.ts'

const CHECKPOINTS = join(import.meta.dirname, '../../../engine/test/golden/data/checkpoints')
const MAGIC_PROMPT = 'Gustavosta/MagicPrompt-Stable-Diffusion'
const FOOOCUS = 'LykosAI/GPT-Prompt-Expansion-Fooocus-v2'

const engine = openEngine({ threads: 1 })
const created: string[] = []
let models: string
let log: string[]
const context = { log: (line: string) => log.push(line) }
let expansion: PromptExpansion

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'darkroom-expanders-'))
  created.push(models)
  log = []
  const registry = new ModelRegistry({ modelFolders: [models], hubCaches: [], bundledFolder: join(models, 'none') })
  expansion = new PromptExpansion({ engine, registry })
})

afterAll(async () => {
  await engine.dispose()
  for (const folder of created) await rm(folder, { recursive: true, force: true })
})

async function install(checkpoint: string, name: string): Promise<void> {
  await mkdir(join(models, name), { recursive: true })
  await cp(join(CHECKPOINTS, checkpoint), join(models, name), { recursive: true })
}

test('without an expander the prompt stays and the log says what to fetch', async () => {
  expect(await expansion.expand('a cat', 1n, false, context)).toBe('a cat')
  expect(log).toEqual([
    `expand_prompt: no prompt expander is on this server (its operator can fetch one with: darkroom pull ${MAGIC_PROMPT}); the prompt is used as it is`,
  ])
})

test('an expander that is added later is found and loaded once', async () => {
  await expansion.expand('a cat', 1n, false, context)
  await install('tiny-gpt2', MAGIC_PROMPT)
  log = []
  const first = await expansion.expand('a cat', 1n, false, context)
  expect(first).toMatch(/^a cat,./)
  expect(await expansion.expand('a cat', 1n, false, context)).toBe(first)
  expect(await expansion.expand('a cat', 2n ** 60n, false, context)).not.toBe(first)
  expect(log).toEqual([`Loading ${MAGIC_PROMPT}`])
})

test('Fooocus’ expander comes first and says what its licence forbids', async () => {
  await install('tiny-gpt2', MAGIC_PROMPT)
  await install('tiny-gpt2-old', FOOOCUS)
  await expansion.expand('a cat', 1n, false, context)
  expect(log).toEqual([`Loading ${FOOOCUS}`, `${FOOOCUS} is licensed for non-commercial use`])
})

test('a damaged expander is the model’s error, and is tried again', async () => {
  await install('tiny-gpt2', MAGIC_PROMPT)
  await writeFile(join(models, MAGIC_PROMPT, 'config.json'), '{"n_head": 7}')
  await expect(expansion.expand('a cat', 1n, false, context)).rejects.toMatchObject({
    status: 422,
    message: expect.stringContaining('n_head'),
  })
  await install('tiny-gpt2', MAGIC_PROMPT)
  expect(await expansion.expand('a cat', 1n, false, context)).toMatch(/^a cat,./)
})

test('for the demo checkpoint its own expander writes, whatever else is here', async () => {
  await install('tiny-gpt2', MAGIC_PROMPT)
  const registry = new ModelRegistry({ modelFolders: [models], hubCaches: [], bundledFolder: bundled('models') })
  const words = await new PromptExpansion({ engine, registry }).expand('a king', 1n, true, context)
  expect(log).toEqual(['Loading pinhole-prompt-expander'])
  expect(words).toBe('a king, green eyes, brown background, with silver hair, mustache, oil painting')
})
