/** Every key of the published single-file checkpoints against what diffusers' converters make of it. */
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  autoencoderNamesOf,
  controlNetNames,
  type LayoutNames,
  structureOfDiffusers,
  structureOfLdm,
  unetNames,
} from '../../src/checkpoint/ldm-keys.ts'
import { openClipParts } from '../../src/checkpoint/open-clip-keys.ts'

interface GoldenKey {
  /** Without the layout's prefix. */
  readonly ldm: string
  readonly diffusers: string
  readonly note: string | undefined
}

async function goldenKeys(name: string, prefix: string): Promise<GoldenKey[]> {
  const text = await readFile(new URL(`data/ldm-keys/${name}.txt`, import.meta.url), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [ldm = '', diffusers = '', , note] = line.split(' ')
      expect(ldm.startsWith(prefix)).toBe(true)
      return { ldm: ldm.slice(prefix.length), diffusers, note }
    })
}

function expectNames(names: LayoutNames, keys: readonly GoldenKey[]): void {
  expect(keys.map(({ diffusers }) => names.toLdm(diffusers))).toEqual(keys.map(({ ldm }) => ldm))
  expect(keys.map(({ ldm }) => names.toDiffusers(ldm))).toEqual(keys.map(({ diffusers }) => diffusers))
}

const MODELS = [
  ['sd15-unet', 'model.diffusion_model.', unetNames, 686],
  ['sdxl-unet', 'model.diffusion_model.', unetNames, 1680],
  ['sd15-controlnet', 'control_model.', controlNetNames, 340],
] as const

describe.each(MODELS)('%s', (name, prefix, namesOf, count) => {
  test('its names, from the structure that either side’s keys show', async () => {
    const keys = await goldenKeys(name, prefix)
    expect(keys).toHaveLength(count)
    const structure = structureOfDiffusers(keys.map(({ diffusers }) => diffusers))
    expect(structureOfLdm(keys.map(({ ldm }) => ldm))).toEqual(structure)
    expectNames(namesOf(structure), keys)
  })
})

test('an autoencoder’s names', async () => {
  const keys = await goldenKeys('vae', 'first_stage_model.')
  expectNames(autoencoderNamesOf(keys.map(({ ldm }) => ldm)), keys)
})

test('OpenCLIP’s tensors', async () => {
  const keys = await goldenKeys('bigg-text', 'conditioner.embedders.1.model.')
  const parts = [...new Set(keys.map(({ ldm }) => ldm))].flatMap((ldm) =>
    openClipParts(ldm).map(({ key, rows, isTransposed }) => ({
      ldm,
      diffusers: key,
      note: rows ? `${rows.index}/${rows.of}` : isTransposed && 'transposed',
    })),
  )
  const byKey = (a: GoldenKey, b: GoldenKey) => (a.diffusers < b.diffusers ? -1 : 1)
  expect(parts.toSorted(byKey)).toEqual(keys.toSorted(byKey))
  expect(openClipParts('logit_scale')).toEqual([])
  expect(openClipParts('visual.proj')).toEqual([])
})

test('module names as kohya’s SDXL LoRA files have them', async () => {
  const keys = await goldenKeys('sdxl-unet', 'model.diffusion_model.')
  const names = unetNames(structureOfDiffusers(keys.map(({ diffusers }) => diffusers)))
  const module = 'down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q'
  expect(names.toLdm(module)?.replaceAll('.', '_')).toBe('input_blocks_4_1_transformer_blocks_0_attn1_to_q')
  expect(names.toLdm('up_blocks.0.upsamplers.0.conv')).toBe('output_blocks.2.2.conv')
  expect(names.toLdm('down_blocks.7.resnets.0.conv1')).toBeUndefined()
  expect(names.toLdm('')).toBeUndefined()
})

test('a number of a hostile file is no number of layers', () => {
  const huge = '4294967294'
  const diffusers = structureOfDiffusers([`down_blocks.0.resnets.${huge}.conv1`, `down_blocks.${huge}.resnets.0.conv1`])
  expect(diffusers).toEqual({ downBlocks: [], upBlocks: [] })
  const ldm = structureOfLdm(['input_blocks.0.0.weight', `input_blocks.${huge}.0.in_layers.0.weight`])
  expect(ldm.downBlocks).toEqual([{ resnets: 1, crossAttention: null }])
  const names = autoencoderNamesOf([
    `decoder.up.${huge}.block.0.norm1.weight`,
    `decoder.up.0.block.${huge}.norm1.weight`,
  ])
  expect(names.toDiffusers('quant_conv.weight')).toBe('quant_conv.weight')
})
