import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { localModels } from '../../test/fakes/local-models.ts'
import { SAMPLE_WEIGHTS } from '../../test/fakes/sample-weights.ts'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import type { ModelStore } from '../models/model-store.ts'
import { findBaseModel, findLcmLora } from './find-weights.ts'

let folder = ''
let store: ModelStore
const lines: string[] = []
const context = {
  signal: new AbortController().signal,
  log: (line: string) => lines.push(line),
  openOwnFile: async () => undefined,
} as unknown as HandlerContext

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-find-'))
  await writeFile(join(folder, 'lora.safetensors'), SAMPLE_WEIGHTS.lora)
  store = localModels(folder).store
})
afterAll(() => rm(folder, { recursive: true }))

test('a base model that is not here is absent, with what to do', async () => {
  const why = expect.stringMatching(/^owner\/name is not on this server.*darkroom pull owner\/name$/)
  expect(await findBaseModel(store, { name: 'owner/name' }, context)).toEqual({ type: 'absent', why })
})

test('something else in place of a base model is a 422', async () => {
  await expect(findBaseModel(store, { name: 'lora.safetensors' }, context)).rejects.toMatchObject({
    status: 422,
    detail: 'lora.safetensors is a LoRA, and a base model is wanted here.',
  })
})

test('an LCM-LoRA that cannot be had is done without', async () => {
  expect(await findLcmLora(store, 'lora.safetensors', context)).toBe(join(folder, 'lora.safetensors'))
  expect(await findLcmLora(store, 'owner/lora', context)).toBeUndefined()
  expect(lines).toEqual([
    expect.stringMatching(/^Pictures of few steps will look unfinished: owner\/lora is not on this/),
  ])
})
