import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeSafetensors } from '@darkroom/engine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { float32 } from '../../../engine/src/tensor/tensor.ts'
import { describeFile } from './inspect.ts'

const GOLDEN = new URL('../../../engine/test/golden/data/', import.meta.url).pathname
const LORA = join(GOLDEN, 'lora')
const CHECKPOINTS = join(GOLDEN, 'checkpoints')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inspect-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('a LoRA, by its keys and kinds', async () => {
  expect(await describeFile(join(LORA, 'kohya-sgm.safetensors'))).toEqual([
    'kohya-sgm.safetensors: a LoRA for SDXL (safetensors, 31.4 KB)',
    '  keys         kohya, kohya-sgm',
    '  changes      LoRA (26 modules, rank 3)',
    '  modules      unet 19, text_encoder 3, text_encoder_2 4',
    '  scale        0.6667',
  ])
  expect((await describeFile(join(LORA, 'dora.safetensors')))[2]).toBe(
    '  changes      DoRA of LoRA (5 modules, rank 3), DoRA of LoHa (1 modules, rank 2)',
  )
})

test('what of it a base uses, and why not the rest', async () => {
  const lines = await describeFile(join(LORA, 'peft-metadata.safetensors'), join(CHECKPOINTS, 'tiny-sdxl'))
  const report = lines.slice(lines.indexOf('goes with tiny-sdxl'))
  expect(report.slice(0, 4)).toEqual([
    'goes with tiny-sdxl',
    '  used: 2 changes',
    '    down_blocks.1.resnets.0.conv1 -> unet down_blocks.1.resnets.0.conv1.weight',
    '    text_model.encoder.layers.0.self_attn.q_proj -> text_encoder text_model.encoder.layers.0.self_attn.q_proj.weight',
  ])
  expect(report[4]).toBe('  not used: 6 keys')
  expect(report).toHaveLength(11)
  expect(report.slice(5).every((line) => line.endsWith("(the base's unet has no such module)"))).toBe(true)
})

test('a LoRA of another base', async () => {
  const lines = await describeFile(join(LORA, 'attention-processors.safetensors'), join(CHECKPOINTS, 'tiny-sdxl'))
  expect(lines[5]).toMatch(/^does not go with tiny-sdxl: Target modules of .* not found in the base model/)
  expect(lines[6]).toBe('  would fit: 6 changes')
})

test('what the trainer wrote down', async () => {
  const path = join(folder, 'style.safetensors')
  const tags = { one: { ' ohwx cat': 5, sitting: 2 }, two: { 'ohwx cat': 4, '': 99 } }
  const tensors = { 'lora_unet_a.lora_down.weight': float32([4, 2]), 'lora_unet_a.lora_up.weight': float32([2, 4]) }
  const metadata = {
    ss_tag_frequency: JSON.stringify(tags),
    ss_sd_model_name: 'base.safetensors',
    'modelspec.title': 'A style',
  }
  await writeSafetensors(path, tensors, metadata)
  expect((await describeFile(path)).slice(4)).toEqual([
    '  scale        1',
    '  title        A style',
    '  trained on   base.safetensors',
    '  prompt words ohwx cat, sitting',
  ])
  await writeSafetensors(path, tensors, { ss_tag_frequency: '{"a', 'modelspec.trigger_phrase': 'in ohwx style' })
  expect((await describeFile(path)).at(-1)).toBe('  prompt words in ohwx style')
})

test('embeddings, other weights and other files', async () => {
  const embeddings = join(GOLDEN, 'textual-inversion')
  expect(await describeFile(join(embeddings, 'web-ui.pt'))).toEqual([
    'web-ui.pt: a textual inversion embedding (pytorch, 2.53 KB)',
    '  vectors      3 of 16 numbers',
    '  token        old-style',
  ])
  expect((await describeFile(join(embeddings, 'web-ui-sdxl.safetensors')))[1]).toBe(
    '  vectors      2 of 16 numbers for text_encoder, 2 of 24 numbers for text_encoder_2',
  )
  const unet = join(CHECKPOINTS, 'tiny-sd15/unet/diffusion_pytorch_model.safetensors')
  expect(await describeFile(unet)).toEqual([
    expect.stringMatching(/^diffusion_pytorch_model.safetensors: a UNet \(safetensors, \d+ KB\)$/),
  ])
  await expect(describeFile(unet, join(CHECKPOINTS, 'tiny-sd15'))).rejects.toThrow('--base tells of LoRAs alone')
  const page = join(folder, 'page.safetensors')
  await writeFile(page, '<!doctype html>')
  await expect(describeFile(page)).rejects.toThrow('page.safetensors is a web page, no file of weights')
})
